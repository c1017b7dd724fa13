"""`python -m minilrm.speedrun`."""

from minilrm.speedrun import main

main()

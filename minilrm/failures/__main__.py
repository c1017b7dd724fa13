"""`python -m minilrm.failures NAME`."""

from minilrm.failures import main

main()

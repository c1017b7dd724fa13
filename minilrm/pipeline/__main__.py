"""`python -m minilrm.pipeline r1`."""

from minilrm.pipeline import main

main()

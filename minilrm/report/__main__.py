"""`python -m minilrm.report RUN`."""

from minilrm.report import main

main()

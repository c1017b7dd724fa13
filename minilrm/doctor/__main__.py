"""`python -m minilrm.doctor RUN`."""

from minilrm.doctor import main

main()

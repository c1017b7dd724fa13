"""`python -m minilrm.grade LECTURE`."""

from minilrm.grade import main

main()

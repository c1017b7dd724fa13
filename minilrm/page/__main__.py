"""`python -m minilrm.page --out page.html`, and `--watch runs/`."""

from minilrm.page import main

main()

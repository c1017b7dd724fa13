"""`python -m studies.variants all`: see study.py."""

from studies.common import command
from studies.variants.study import main

command(main)

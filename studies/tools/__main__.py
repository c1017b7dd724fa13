"""`python -m studies.tools all`: see study.py."""

from studies.common import command
from studies.tools.study import main

command(main)

"""`python -m studies.thinking compare`: see study.py."""

from studies.common import command
from studies.thinking.study import main

command(main)

"""`python -m studies.r1 pipeline 0`: see study.py."""

from studies.common import command
from studies.r1.study import main

command(main)

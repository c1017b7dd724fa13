"""`python -m studies.rlhf labels-300 0`: see study.py."""

from studies.common import command
from studies.rlhf.study import main

command(main)

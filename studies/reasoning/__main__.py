"""`python -m studies.reasoning grpo 0`: see study.py."""

from studies.common import command
from studies.reasoning.study import main

command(main)

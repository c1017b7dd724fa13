"""`python -m studies.main grpo 0`: see study.py."""

from studies.common import command
from studies.main.study import main

command(main)

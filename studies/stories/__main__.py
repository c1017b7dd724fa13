"""`python -m studies.stories grpo 0`: see study.py."""

from studies.common import command
from studies.stories.study import main

command(main)

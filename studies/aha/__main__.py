"""`python -m studies.aha countdown seeded 0`: see study.py."""

from studies.aha.study import main
from studies.common import command

command(main)

"""From random weights through everything, on two cores; and how far ten minutes carry.

    python -m minilrm.speedrun --scale nano       all stages, in half an hour; then a report card
    python -m minilrm.speedrun --from sft         make this stage and all behind it anew
    python -m minilrm.speedrun --budget 10        the record table's recipe: what ten minutes buy
    python -m minilrm.speedrun --check FOLDER     does an entry of the record table hold?

everything.py has the stages, card.py the report card, budget.py the recipe that fits into a budget
of minutes, records.py the table of records, its rules and the check of an entry. A user's run
changes nothing in the clone: only `--record` adds a line to data/results.
"""

from minilrm import cli
from minilrm.speedrun.command import Options, make
from minilrm.speedrun.everything import SIZES, Everything, Size

__all__ = ["SIZES", "Everything", "Options", "Size", "main", "make"]


def main(argv: list[str] | None = None) -> None:
    cli.run_command(
        make, Options, argv, prog="python -m minilrm.speedrun", description=Options.__doc__
    )

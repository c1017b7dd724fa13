"""How far does tracing carry? A ladder of problem sets, each of which varies one thing that
training never shows: a structure, a length, a depth, names, the size of numbers, how long loops
turn, where functions stand and who calls them.

All rungs but "seen structures" have new structures: those of the split that is asked for, or, where
training has none of their kind (`unseen`), one half of them for validation and one for the test. So
what is varied comes on top of a structure that is new.
"""

from dataclasses import dataclass

from minilrm.tasks.program.drafts import UNSEEN, Kind

LENGTHS = (4, 5, 6, 7, 8, 9, 10)  # statements of the programs of training
DEEPEST = 2  # blocks inside each other
MOST_TURNS = 3  # of one loop
LARGEST = 99  # number of a trace
MOST_STEPS = 20  # lines of a trace


@dataclass(frozen=True)
class Rung:
    """meaning: one line for a table. split: whose structures. lengths: statements. kind: how drafts
    are drawn. unseen: whether training has no structure of this kind. deepest, turns, largest,
    steps: at least and at most, of what the program and its run show."""

    meaning: str
    split: str = "test"
    lengths: tuple[int, ...] = LENGTHS
    kind: Kind = Kind()
    unseen: bool = False
    deepest: tuple[int, int] = (0, DEEPEST)
    turns: tuple[int, int] = (0, MOST_TURNS)
    largest: tuple[int, int] = (0, LARGEST)
    steps: tuple[int, int] = (4, MOST_STEPS)


LADDER = {
    "new structures": Rung("structures that no training program has: the test split"),
    "seen structures": Rung("structures of training, with new numbers and names", "train"),
    "11 statements": Rung(
        "one statement more than any training program has", lengths=(11,), unseen=True
    ),
    "12 statements": Rung(
        "two statements more than any training program has", lengths=(12,), unseen=True
    ),
    "deeper nesting": Rung(
        "three blocks inside each other (two at most in training)",
        kind=Kind(deepest=3),
        deepest=(3, 3),
        unseen=True,
    ),
    "new names": Rung("names and keys that training never uses", kind=Kind(names=UNSEEN)),
    "to 300": Rung(
        "the largest number of the trace between 100 and 300",
        kind=Kind(numbers=(5, 90)),
        largest=(LARGEST + 1, 300),
    ),
    "to 1000": Rung(
        "the largest number of the trace between 301 and 1,000",
        kind=Kind(numbers=(20, 400)),
        largest=(301, 1000),
    ),
    "longer loops": Rung(
        "a loop of four to six turns (three at most in training)",
        kind=Kind(turns=(4, 5), deepest=1),
        lengths=(4, 5, 6, 7, 8),
        turns=(MOST_TURNS + 1, 6),
        steps=(4, 24),
    ),
    "other order": Rung(
        "functions behind the first statements, not before them",
        kind=Kind(functions_last=True),
        unseen=True,
    ),
    "calls in loops": Rung(
        "a loop that calls a function, as none does in training",
        kind=Kind(calls_in_loops=True),
        unseen=True,
    ),
    "calls of calls": Rung(
        "a function that calls a function, as none does in training",
        kind=Kind(chain=True),
        unseen=True,
    ),
}

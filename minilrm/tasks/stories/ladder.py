"""How far does reasoning carry? A ladder of problem sets, each of which varies one thing.

The first rung is the test split. Every other one takes the same kind of stories and changes one
thing that training never shows: a pair of relations, a shape of graph, a wording, words, an order,
a kind of sentence that does not matter, a length, the size of the numbers, or the author.
"""

import random
from dataclasses import dataclass

from minilrm.tasks.stories.numbers import LARGEST
from minilrm.tasks.stories.telling import Telling

LENGTHS = {1: 0.12, 2: 0.26, 3: 0.28, 4: 0.20, 5: 0.14}  # steps -> share of the training stories


@dataclass(frozen=True)
class Rung:
    """meaning: one line for a table. split: whose structures. parts: the unseen parts that a graph
    has. steps: lengths (None: those of training). largest, above: bounds of the largest number."""

    meaning: str
    split: str = "test"
    parts: frozenset[str] = frozenset()
    steps: tuple[int, ...] | None = None
    largest: int = LARGEST
    above: int = 0
    telling: Telling = Telling()

    def draw_steps(self, rng: random.Random) -> int:
        if self.steps:
            return rng.choice(self.steps)
        return rng.choices(list(LENGTHS), list(LENGTHS.values()))[0]


LADDER = {
    "new stories": Rung("structures that no training story has: the test split"),
    "seen stories": Rung("structures of training, with new numbers, names, wordings", "train"),
    "new pairs": Rung(
        "a relation whose input comes from a relation it never followed in training",
        parts=frozenset({"pairs"}),
        steps=(2, 3, 4, 5),
    ),
    "new shapes": Rung(
        "a shape of graph that no training story has", parts=frozenset({"shapes"}), steps=(3, 4, 5)
    ),
    "new wording": Rung(
        "one sentence in a wording that training never uses", telling=Telling(seen_wordings=False)
    ),
    "new words": Rung(
        "names and things that training never uses", telling=Telling(seen_words=False)
    ),
    "other order": Rung(
        "a sentence told earlier or later than it happens (3 in 10 in training)",
        telling=Telling(reordered=1.0),
    ),
    "irrelevant number": Rung(
        "a number that does not matter, in a kind of sentence that training never uses",
        telling=Telling(irrelevant=1.0, seen_irrelevant=False),
    ),
    "6 steps": Rung("one step more than any training story has", steps=(6,)),
    "7 steps": Rung("two steps more than any training story has", steps=(7,)),
    "to 600": Rung("the largest number between 301 and 600", largest=600, above=LARGEST),
    "to 1000": Rung("the largest number between 601 and 1,000", largest=1000, above=600),
    "to 2000": Rung("the largest number between 1,001 and 2,000", largest=2000, above=1000),
}
#: by another author: the hand-written stories of `tasks/templates`, never trained on
HAND_WRITTEN = "hand-written"
HAND_WRITTEN_MEANING = "stories written by hand, each with its own sentences"

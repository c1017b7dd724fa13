"""How far does following the money carry? Each rung varies one thing that training never shows."""

from dataclasses import dataclass

from minilrm.tasks.logic.words import Telling

LENGTHS = {1: 0.1, 2: 0.25, 3: 0.25, 4: 0.22, 5: 0.18}  # sums -> share of training
LARGEST = 2000  # number of training
SIZES = (2, 3, 4)  # firms of training


@dataclass(frozen=True)
class Rung:
    """meaning: one line for a table. split: whose structures. steps: sums (None: those of
    training). largest, above: bounds of the largest number. sizes: firms. telling: the words."""

    meaning: str
    split: str = "test"
    steps: int | None = None
    largest: int = LARGEST
    above: int = 0
    sizes: tuple[int, ...] = SIZES
    telling: Telling = Telling()


LADDER = {
    "new ledgers": Rung("structures that no training ledger has: the test split"),
    "seen ledgers": Rung("structures of training, with new numbers, names, wordings", "train"),
    "new wording": Rung(
        "one entry in a wording that training never uses", telling=Telling(seen_wordings=False)
    ),
    "new names": Rung("firms that training never names", telling=Telling(seen_words=False)),
    "other order": Rung(
        "the entries told from the last to the first (3 in 10 in training)",
        telling=Telling(reordered=1.0),
    ),
    "irrelevant number": Rung(
        "a number that does not matter, in a sentence that training never uses",
        telling=Telling(irrelevant=1.0, seen_irrelevant=False),
    ),
    "more firms": Rung("one firm more than any ledger of training has", sizes=(5,)),
    "6 steps": Rung("one sum more than any ledger of training needs", steps=6),
    "7 steps": Rung("two sums more than any ledger of training needs", steps=7),
    "to 5000": Rung("the largest number between 2,001 and 5,000", largest=5000, above=2000),
    "to 9999": Rung("the largest number between 5,001 and 9,999", largest=9999, above=5000),
}

"""How far does inference carry? Each rung varies one thing that training never shows."""

from dataclasses import dataclass

from minilrm.tasks.logic.words import Telling


@dataclass(frozen=True)
class Rung:
    """meaning: one line for a table. split: whose structures. longer: steps or people more than any
    puzzle of training has; such a structure is new whatever its hash."""

    meaning: str
    split: str = "test"
    longer: int = 0
    telling: Telling = Telling()


LADDER = {
    "new puzzles": Rung("structures that no training puzzle has: the test split"),
    "seen puzzles": Rung("structures of training, with new names, words, wordings", "train"),
    "new wording": Rung(
        "one sentence in a wording that training never uses", telling=Telling(seen_wordings=False)
    ),
    "new words": Rung(
        "names, nouns, scales that training never uses", telling=Telling(seen_words=False)
    ),
    "other order": Rung(
        "a sentence that has nothing to do with those before it (3 in 10 in training)",
        telling=Telling(reordered=1.0),
    ),
    "irrelevant sentence": Rung(
        "a sentence that does not matter, of a kind that training never uses",
        telling=Telling(irrelevant=1.0, seen_irrelevant=False),
    ),
    "one longer": Rung("one step or person more than any puzzle of training has", longer=1),
    "two longer": Rung("two steps or people more than any puzzle of training has", longer=2),
}

"""Names and things, common ones and invented ones.

Half of the people and a fifth of the things are invented from syllables, several thousand of each:
a model that has read them copies what the question says, and does not choose from a list. A hash of
the word says whether training may use it; the others belong to the rung of unseen names and things.
"""

import random
from collections.abc import Sequence
from functools import cache

from minilrm.tasks.problem import split_of

COMMON = {
    "en": "Ana Ben Carl Dan Emma Eva Fay Finn Gus Hana Ivan Jack Jill Kate Leo Lily Max Mia Nora "
    "Omar Paul Rosa Sam Tom Amy Bill Cora Dora Eli Fred Grace Hugo Ida Jon Kim Lena Mark Nina "
    "Oscar Peter Quinn Ruth Sara Tim Uma Vera Walt Zoe".split(),
    "es": "Ana Luis Carlos Dani Emma Eva Marta Hugo Inés Iván Jorge Julia Leo Lola Marcos María "
    "Nora Omar Pablo Rosa Sara Tomás Vera Zoe Alba Bruno Clara Diego Elena Félix Gloria Héctor "
    "Irene Javier Laura Mateo Nuria Óscar Pilar Raúl Sofía Teresa Víctor Lucía Pedro".split(),
}
INVENTED_NAMES, INVENTED_THINGS = 0.5, 0.2

ONSETS = "b d f g k l m n p r s t v z br dr gr kl pl tr st".split()
VOWELS = "a e i o u".split()
MIDDLES = "b d f g k l m n p r s t v z nd lt rm sk".split()
ENDS = {"name": "a o i in ar el".split(), "en": "er in et op al".split(), "es": "a o".split()}


def invented(rng: random.Random, ending: str) -> str:
    return (
        rng.choice(ONSETS)
        + rng.choice(VOWELS)
        + rng.choice(MIDDLES)
        + (rng.choice(VOWELS) + rng.choice(MIDDLES) if rng.random() < 0.3 else "")
        + rng.choice(ENDS[ending])
    )


@cache
def is_seen(word: str) -> bool:
    """Whether training may use the word."""
    return split_of(f"word:{word.lower()}") == "train"


def draw_word(
    rng: random.Random, common: Sequence[str], ending: str, share: float, seen: bool
) -> str:
    """A common word or an invented one; `seen`: one of training, or one that it never uses."""
    while True:
        word = invented(rng, ending) if rng.random() < share else rng.choice(common)
        if is_seen(word.split()[0]) == seen:
            return word


def people(rng: random.Random, language: str, n: int, seen: bool = True) -> list[str]:
    """`n` names, all different."""
    found: list[str] = []
    while len(found) < n:
        name = draw_word(rng, COMMON[language], "name", INVENTED_NAMES, seen)
        name = name[0].upper() + name[1:]
        if name not in found:
            found.append(name)
    return found


def thing(rng: random.Random, things: tuple[str, ...], language: str, seen: bool = True) -> str:
    """Singular, plural and, in Spanish, gender: "apple apples" or "manzana manzanas f".

    A theme with a thing or two of its own (dollars, kilometers) always uses these.
    """
    if len(things) <= 2:
        return rng.choice(things)
    word = draw_word(rng, things, language, INVENTED_THINGS, seen)
    if " " in word:
        return word
    return f"{word} {word}s" + ((" f" if word.endswith("a") else " m") if language == "es" else "")

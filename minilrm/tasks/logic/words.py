"""Nouns, adjectives and sentences that say nothing, some of them kept out of training.

Names are those of the stories: common ones and invented ones (`stories/names.py`). A word that
training may use is told from one that it never uses by the same hash, so that a noun kept out here
is kept out there.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from minilrm.tasks.stories.names import invented, is_seen, people

INVENTED = 0.25  # share of the nouns that are made of syllables
LONGEST_WORD = 5  # letters of a name or an invented noun: puzzles of many people stay short
REORDERED, IRRELEVANT = 0.3, 0.2  # shares of training


@dataclass(frozen=True)
class Telling:
    """How a puzzle is told: shares of training, unless a rung of the ladder asks otherwise."""

    seen_wordings: bool = True
    seen_words: bool = True
    reordered: float = REORDERED
    irrelevant: float = IRRELEVANT
    seen_irrelevant: bool = True


ANIMALS = (
    "animal",
    "crow raven owl cat dog fox wolf bear horse goat sheep duck goose swan frog toad snake lizard "
    "beetle spider mouse rat rabbit hare otter seal whale shark parrot penguin".split(),
    "singer hunter swimmer climber digger runner jumper pet guard sleeper dreamer builder "
    "collector dancer thief scout".split(),
    "black white grey brown quick slow tame wild loud quiet shy brave clever hungry sleepy small "
    "large strong gentle curious rare spotted striped young".split(),
)
PEOPLE = (
    "person",
    "baker sailor doctor farmer painter lawyer teacher tailor miner pilot writer judge cook nurse "
    "clerk barber butcher driver soldier student".split(),
    "singer swimmer climber runner dancer collector gardener twin neighbor guest member winner "
    "traveler reader poet juggler skater cyclist".split(),
    "tall quick slow loud quiet shy brave clever hungry sleepy strong gentle curious rich honest "
    "patient polite lucky busy happy proud lazy careful old".split(),
)
PLURALS = {"person": "people", "wolf": "wolves", "goose": "geese", "mouse": "mice",
           "sheep": "sheep", "thief": "thieves", "fox": "foxes"}  # fmt: skip

SAID_BESIDES = (
    "{name} likes pears.", "{name} has a blue hat.", "It rained in the morning.",
    "{name} lives near the river.", "{name} had soup for lunch.", "The market opens at noon.",
)  # fmt: skip
SAID_BESIDES_UNSEEN = (
    "{name} once lost an umbrella.", "A dog barks next door.", 
    "{name} will visit an aunt on Monday.", "The last bus was late.",
)  # fmt: skip


def plural(noun: str) -> str:
    """`plural("crow")` is `"crows"`."""
    return PLURALS.get(noun, f"{noun}s")


def article(noun: str) -> str:
    """`article("owl")` is `"an owl"`."""
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def draw_terms(rng: random.Random, n: int, seen: bool) -> tuple[str, list[tuple[str, str]]]:
    """What all of them are ("animal") and `n` terms, each ("noun", "crow") or ("adjective",
    "black").

    Of the species there is one at most: "all crows are wolves" would puzzle for another reason.
    """
    what, species, roles, adjectives = rng.choice((ANIMALS, PEOPLE))
    place = rng.randint(0, n)  # of the species; none at n
    found: list[tuple[str, str]] = []
    while len(found) < n:
        pool, sort = (adjectives, "adjective") if rng.random() < 0.45 else (roles, "noun")
        if len(found) == place:
            pool, sort = species, "noun"
        word = rng.choice(pool)
        if sort == "noun" and rng.random() < INVENTED:
            word = invented(rng, "en")
            if len(word) > LONGEST_WORD:
                continue
        if is_seen(word) == seen and word not in (known for _, known in found):
            found.append((sort, word))
    return what, found


def draw_names(rng: random.Random, n: int, seen: bool) -> list[str]:
    """`n` different names that training uses, or does not."""
    found: list[str] = []
    while len(found) < n:
        [name] = people(rng, "en", 1, seen)
        if len(name) <= LONGEST_WORD and name not in found:
            found.append(name)
    return found


def irrelevant(rng: random.Random, names: Sequence[str], telling: Telling) -> list[str]:
    """No sentence, or one that does not matter."""
    if rng.random() >= telling.irrelevant:
        return []
    said = SAID_BESIDES if telling.seen_irrelevant else SAID_BESIDES_UNSEEN
    return [rng.choice(said).replace("{name}", rng.choice(names))]


def put_in(rng: random.Random, sentences: Sequence[str], more: Sequence[str]) -> list[str]:
    """The sentences in their order, with more of them somewhere between."""
    told = list(sentences)
    for sentence in more:
        told.insert(rng.randint(0, len(told)), sentence)
    return told


def arrange(rng: random.Random, terms: Sequence[frozenset[int]], linked: bool) -> list[int] | None:
    """An order of sentences, by what each is about. `linked`: each has something in common with
    those before it; else at least one has not. None if no such order is found.

    >>> crow_is_black, fish_swim = frozenset({0, 1}), frozenset({2, 3})
    >>> arrange(random.Random(0), [crow_is_black, fish_swim], linked=True) is None
    True
    """
    for _ in range(60):
        order = rng.sample(range(len(terms)), len(terms))
        if linked:  # a random order of many is hardly ever linked: one that grows is
            order = grow(rng, terms)
        if is_linked([terms[i] for i in order]) == linked:
            return order
    return None


def grow(rng: random.Random, terms: Sequence[frozenset[int]]) -> list[int]:
    """Sentence after sentence, one that is linked if there is any."""
    left = rng.sample(range(len(terms)), len(terms))
    order = [left.pop()]
    while left:
        known = frozenset().union(*(terms[i] for i in order))
        chosen = next((i for i in left if terms[i] & known), left[0])
        left.remove(chosen)
        order.append(chosen)
    return order


def is_linked(terms: Sequence[frozenset[int]]) -> bool:
    """Whether each sentence after the first has something in common with those before it."""
    known = terms[0]
    for about in terms[1:]:
        if not about & known:
            return False
        known |= about
    return True


def listed(names: Sequence[str]) -> str:
    """`listed(["Ana", "Ben", "Carl"])` is `"Ana, Ben and Carl"`."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))

"""Firms, and the sentences of a ledger."""

import random
from collections.abc import Sequence

from minilrm.tasks.ledger.entries import Entry
from minilrm.tasks.logic.words import LONGEST_WORD, listed
from minilrm.tasks.stories.names import invented, is_seen

FIRMS = (
    "Alba Brix Cora Delta Elm Flux Gala Halo Iris Juno Kite Luna Mesa Nova Onyx Pico Quill Rho "
    "Sol Terra Unity Vega Wave Xeno Yard Zeta Atlas Birch Cedar Dune Ember Fjord Grove Heron "
    "Ivy Jade Lotus Maple North Opal Pearl Quartz Raven Swan Tiger Umbra Viola Willow".split()
)
INVENTED = 0.5

OPENING = ("{s} has {n} at first.", "{s} starts with {n}.", "At first {s} has {n}.")
NOTHING = "{names} {start} with nothing."
PARTS = {2: "half", 3: "a third", 4: "a quarter"}
TIMES = {2: "twice", 3: "3 times", 4: "4 times"}
WORDINGS = {
    "pay": ("{s} sends {a} to {r}.", "{s} pays {r} {a}.", "{r} gets {a} from {s}."),
    "pay fee": (
        "{s} sends {a} to {r}, of which the bank keeps {f}.",
        "{s} pays {r} {a}, and {f} of it is lost in fees.",
    ),
    "all": ("{s} sends all it has to {r}.", "{s} passes all its cash on to {r}."),
    "all fee": (
        "{s} sends all it has to {r}, of which the bank keeps {f}.",
        "{s} passes all its cash on to {r}, and {f} of it is lost in fees.",
    ),
    "all tenth": (
        "{s} sends all it has to {r}, of which the bank keeps a tenth.",
        "{s} passes all its cash on to {r}, and a tenth of it is lost in fees.",
    ),
    "share": ("{s} sends {part} of what it has to {r}.", "{s} pays {r} {part} of its cash."),
    "split": (
        "{s} splits all it has evenly between {r} and {q}.",
        "{s} shares out all its cash, the same to {r} and to {q}.",
    ),
    "times": ("{s} makes {k} payments of {a} to {r}.", "{s} pays {times} {a} to {r}."),
    "times fee": (
        "{s} makes {k} payments of {a} to {r}, and the bank keeps {f} of each.",
        "{s} pays {times} {a} to {r}, and each time {f} of it is lost in fees.",
    ),
}
UNSEEN_WORDINGS = {
    "pay": "{s} wires {a} to {r}.",
    "pay fee": "{s} wires {a} to {r}, which costs {r} a fee of {f}.",
    "all": "{s} wires its whole cash to {r}.",
    "all fee": "{s} wires its whole cash to {r}, which costs {r} a fee of {f}.",
    "all tenth": "{s} wires its whole cash to {r}, less a fee of one tenth.",
    "share": "{s} wires {part} of its cash to {r}.",
    "split": "{s} wires one half of its cash to {r} and the other half to {q}.",
    "times": "{s} wires {a} to {r}, {k} times in all.",
    "times fee": "{s} wires {a} to {r}, {k} times in all, each time less a fee of {f}.",
}
IRRELEVANT = ("{s} has {n} clients.", "{s} rents {n} rooms.", "{s} is {n} years old.")
IRRELEVANT_UNSEEN = ("{s} owns {n} trucks.", "The door of {s} has number {n}.")


def draw_firms(rng: random.Random, n: int, seen: bool) -> list[str]:
    """`n` different names of firms that training uses, or does not."""
    found: list[str] = []
    while len(found) < n:
        own = rng.random() < INVENTED
        name = invented(rng, "name").capitalize() if own else rng.choice(FIRMS)
        if len(name) <= LONGEST_WORD and is_seen(name) == seen and name not in found:
            found.append(name)
    return found


def tell_entry(
    rng: random.Random, entry: Entry, firms: Sequence[str], numbers: dict[str, int], seen: bool
) -> str:
    """An entry as a sentence."""
    wordings = WORDINGS[entry.kind]
    wording = rng.choice(wordings) if seen else UNSEEN_WORDINGS[entry.kind]
    own = [numbers[name] for name in entry.numbers]
    return wording.format(
        s=firms[entry.sender],
        r=firms[entry.to[0]],
        q=firms[entry.to[-1]],
        a=own[0] if own else "",
        f=own[-1] if own else "",
        part=PARTS.get(entry.by, ""),
        k=entry.by,
        times=TIMES.get(entry.by, ""),
    )


def tell_openings(
    rng: random.Random,
    openings: Sequence[str | None],
    firms: Sequence[str],
    numbers: dict[str, int],
) -> list[str]:
    """Who has what at first."""
    told, empty = [], []
    for name, opening in zip(firms, openings, strict=True):
        if opening is None:
            empty.append(name)
        else:
            told.append(rng.choice(OPENING).format(s=name, n=numbers[opening]))
    if empty:
        start = "start" if len(empty) > 1 else "starts"
        told.append(NOTHING.format(names=listed(empty), start=start))
    return told


def in_order(rng: random.Random, told: Sequence[str], backwards: bool) -> list[str]:
    """Entries from the first to the last, or the other way round, with words that say so."""
    if backwards:
        last, *before = reversed(told)
        return [f"In the end {last}", *(f"Before that, {sentence}" for sentence in before)]
    return [told[0], *(rng.choice(("", "Then ")) + sentence for sentence in told[1:])]

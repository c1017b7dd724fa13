"""A story told: the sentences of its question, of its solution and of its plan.

Each sentence of a solution follows from the question alone: whose quantity, of what thing, and by
which relation. Nothing in it has to be known by heart.
"""

import random
import re
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from minilrm.tasks.stories import english, spanish
from minilrm.tasks.stories.graph import (
    CHANGES,
    COMPARISONS,
    PRODUCTS,
    TAKES_AWAY,
    THEY,
    Graph,
    Node,
)
from minilrm.tasks.stories.names import people, thing
from minilrm.tasks.stories.numbers import Solved
from minilrm.tasks.stories.themes import THEMES, Theme

LANGUAGES: dict[str, ModuleType] = {"en": english, "es": spanish}
MONEY = next(theme for theme in THEMES if theme.kind == "money")
REORDERED = 0.3  # of the stories tell a sentence earlier or later
Slots = dict[str, Any]


@dataclass(frozen=True)
class Telling:
    """How a story is told, where it differs from training: each field is one rung of the ladder.

    seen_words: names and things of training. seen_wordings: every sentence in a wording of
    training; else one sentence is in another one. seen_irrelevant: likewise for what does not
    matter. reordered: the share of stories that tell a sentence elsewhere. irrelevant: the share
    with a number that does not matter.
    """

    seen_words: bool = True
    seen_wordings: bool = True
    seen_irrelevant: bool = True
    reordered: float = REORDERED
    irrelevant: float = 0.2


@dataclass
class Told:
    """question, and per step a sentence with {calc} in the place of the sum, and a plan's words."""

    question: str
    working: list[str] = field(default_factory=list)
    plan: list[str] = field(default_factory=list)
    irrelevant: bool = False
    reordered: bool = False


def tell(
    theme: Theme,
    graph: Graph,
    solved: Solved,
    rng: random.Random,
    language: str,
    telling: Telling = Telling(),
) -> Told:
    """Words for a graph with its numbers."""
    book = LANGUAGES[language]
    cast = people(rng, language, 4, telling.seen_words)
    slots = [
        node_slots(i, theme, graph, solved, cast, shared, language)
        for shared in [shared_words(theme, rng, language, telling)]
        for i in range(len(graph))
    ]
    last = len(graph) - 1
    told_nodes = [i for i, node in enumerate(graph) if is_told(node, i == last)]
    unseen = rng.choice(told_nodes) if not telling.seen_wordings else -1
    sentences = []
    for i in told_nodes:
        *wordings, kept_out = book_entry(book, "TELL", theme, graph[i].relation)
        wording = kept_out if i == unseen else rng.choice(fitting(wordings, slots[i]))
        sentences.append((i, fill(wording, slots[i])))
    in_order = sentences
    if rng.random() < telling.reordered:
        sentences = reorder(sentences, graph, rng)
    texts = [text for _, text in sentences]
    irrelevant = rng.random() < telling.irrelevant
    if irrelevant:
        lines = book.IRRELEVANT if telling.seen_irrelevant else book.IRRELEVANT_UNSEEN
        line = rng.choice(lines).format(X=cast[3], d=rng.randint(2, 40))
        texts.insert(rng.randint(0, len(texts)), line)
    ask = rng.choice(book_entry(book, "ASK", theme, asked(theme, graph)))
    question = " ".join([*texts, fill(ask, slots[last])])
    told = Told(question, irrelevant=irrelevant, reordered=sentences != in_order)
    for i, node in enumerate(graph):
        for sentence in book_entry(book, "WORK", theme, node.relation):
            told.working.append(fill(sentence, slots[i] | {"c": "{calc}"}))
        told.plan += [fill(book.PLAN[name], slots[i], False) for name in planned(node)]
    return told


def recall(
    theme: Theme, graph: Graph, solved: Solved, rng: random.Random, language: str
) -> tuple[str, list[str]]:
    """A text of facts about several people, and what it says of each of them, in another order; a
    product of two told numbers has {calc} in its place.

    Returns the text, and per node its sentence.
    """
    book = LANGUAGES[language]
    cast, shared = people(rng, language, 4), shared_words(theme, rng, language, Telling())
    slots = [node_slots(i, theme, graph, solved, cast, shared, language) for i in range(len(graph))]
    told, found = [], []
    for node, words in zip(graph, slots, strict=True):
        *wordings, _ = book_entry(book, "TELL", theme, node.relation)
        told.append(fill(rng.choice(wordings), words))
        plainly = wordings[:1] if node.relation == "has" else book.WORK[node.relation]
        found.append(fill(plainly[0], words | {"c": "{calc}"}))
    return " ".join(told), found


# -- which sentences -------------------------------------------------------------------------------


def is_told(node: Node, last: bool) -> bool:
    """A difference is only asked for, and so is what is put together at the end."""
    return node.relation != "difference" and not (last and node.relation.startswith("together"))


def book_entry(book: ModuleType, kind: str, theme: Theme, name: str) -> tuple[str, ...]:
    """Sentences of a book: those for ages, or for what is done and not held, where they differ."""
    special = "YEARS" if theme.kind == "years" else "DOING" if theme.is_done else ""
    return getattr(book, f"{kind}_{special}", {}).get(name) or getattr(book, kind)[name]


def fitting(wordings: list[str], slots: Slots) -> list[str]:
    """The wordings that say of which moment they speak, where the other one's quantity has
    changed."""
    if not slots["changed"]:
        return wordings
    return [w for w in wordings if "{now}" in w or "{rnow}" in w] or wordings


def asked(theme: Theme, graph: Graph) -> str:
    """Which question asks for the last node."""
    node = graph[-1]
    if node.relation in TAKES_AWAY:
        return "left"
    if node.relation == "gets" and theme.is_done:
        return "made"
    if node.relation in ("rate", "each"):
        return "made"
    return node.relation if node.relation in english.ASK else "state"


def planned(node: Node) -> tuple[str, ...]:
    """What the steps of a node find, as names of a book's PLAN."""
    match node.relation:
        case "has":
            return ()
        case "gives_each" | "part_away":
            return ("away", "left")
        case "loses" | "half":
            return ("left",)
        case "together3":
            return ("two", "together")
        case "sell" | "cost":
            return ("money",)
        case "weeks" | "takes" | "longer" | "lasts":
            return ("time",)
        case "pack":
            return ("boxes",)
        case "together" | "difference" | "change" | "missing" | "share":
            return (node.relation,)
    return ("together",) if node.owner == THEY else ("state",)


#: relations that are so at any time; and words that need what stands before them
STILL = ("has", *PRODUCTS, *COMPARISONS, "sell", "cost", "change", "missing")
POINTS_BACK = re.compile(r"\b([Tt]hem|[Tt]hey|Then|[Ee]ll[oa]s|[Ll][oa]s vend\w+|Luego)\b")
Sentences = list[tuple[int, str]]  # the node that each one tells


def reorder(sentences: Sentences, graph: Graph, rng: random.Random) -> Sentences:
    """One sentence moved to another place. Only what is so at any time may move: what nobody gains
    or loses, prices, sizes; never a change, and nothing about people whose quantity changes."""
    touched: set[int] = set()
    for i in reversed(range(len(graph))):  # what a change needs, and what needs a change
        if graph[i].relation in CHANGES or i in touched:
            touched |= {i, *graph[i].inputs}
    touched |= {i for i, node in enumerate(graph) if touched & set(node.inputs)}
    moves = [
        (place, to)
        for place, (i, _) in enumerate(sentences)
        if graph[i].relation in STILL and i not in touched
        for to in range(len(sentences))
        if to != place and can_be_read(moved(sentences, place, to), graph)
    ]
    return moved(sentences, *rng.choice(moves)) if moves else sentences


def moved(sentences: Sentences, place: int, to: int) -> Sentences:
    rest = sentences[:place] + sentences[place + 1 :]
    return [*rest[:to], sentences[place], *rest[to:]]


def can_be_read(sentences: Sentences, graph: Graph) -> bool:
    """Whether every "them" and every "then" comes after what it points back to."""
    told = [i for i, _ in sentences]
    return all(
        place > 0 and all(j in told[:place] for j in graph[i].inputs if j in told)
        for place, (i, text) in enumerate(sentences)
        if POINTS_BACK.search(text)
    )


# -- the words that fill them ----------------------------------------------------------------------


def shared_words(theme: Theme, rng: random.Random, language: str, telling: Telling) -> Slots:
    """The words that a whole story has in common."""
    words, book = theme.words[language], LANGUAGES[language]

    def one(name: str) -> str:
        return rng.choice(words[name]) if name in words else ""

    verbs = {name: one(name) for name in ("have", "get", "lose", "make")}
    if theme.is_done:
        verbs |= {"get": verbs["have"], "make": verbs["have"]}
    return {
        "thing": thing(rng, words["things"], language, telling.seen_words).split(),
        "verbs": verbs,
        "boxes": one("boxes").split() or ["", ""],
        "source": one("sources").split() or ["", "", ""],
        "handle": one("handle").split("|") if "handle" in words else ["", "", ""],
        "hour": rng.choice(book.WORDS["hours"]),
        "object": rng.choice(book.WORDS["objects"]),
        "percent": rng.random() < 0.4,
    }


def node_slots(
    i: int,
    theme: Theme,
    graph: Graph,
    solved: Solved,
    cast: list[str],
    shared: Slots,
    language: str,
) -> Slots:
    """Everything that the sentences about node `i` may name."""
    node, book = graph[i], LANGUAGES[language]
    about = matter(graph, i)
    things, verbs = shared["thing"], shared["verbs"]
    if about in ("money", "bill") and theme.kind != "money":
        words = MONEY.words[language]
        things = words["things"][0].split()
        verbs = {name: words[name][0] for name in verbs}
    elif about == "boxes":
        things = [*shared["boxes"], "f"]
    several = node.owner == THEY
    numbers = {name[0]: value for name, value in solved.numbers.items() if name[1:] == str(i)}
    owner = book.WORDS["they"].lower() if several else cast[node.owner]
    slots: Slots = {
        "S": owner, "So": {"They": "them"}.get(book.WORDS["they"], owner) if several else owner,
        "several": several, "X": cast[3],
        "A": cast[0], "B": cast[1], "C": cast[2],
        "t": things[0], "T": things[1], "at": with_article(things[0]),
        "box": shared["boxes"][0], "boxes": shared["boxes"][1],
        "abox": with_article(shared["boxes"][0]),
        "prep": shared["source"][0], "Prep": shared["source"][0].capitalize(),
        "source": shared["source"][1], "sources": shared["source"][2],
        "handle": shared["handle"][0], "handles": "|".join(shared["handle"][1:]),
        "anh": shared["hour"][0], "h": shared["hour"][1], "hs": shared["hour"][2],
        "u": book.WORDS["u"][1], "do": "|".join(book.WORDS["do"]),
        "have_pl": plural(verbs["have"]), "have_inf": plural(verbs["have"]),
        "make_inf": plural(verbs["make"]), "haveA": conjugate(verbs["have"], False),
        "haveB": conjugate(verbs["have"], False), "doA": book.WORDS["do"][0],
        **verbs, **numbers,
    }  # fmt: skip
    slots |= comparison_slots(node, graph, cast, verbs, theme, language)
    slots |= number_words(numbers.get("k", 2), things[1], shared, book)
    if "P" in numbers:
        goal = book.WORDS["goal"] if about == "money" or theme.kind == "money" else "{P} {T}"
        slots["goal"] = goal.format(P=numbers["P"], T=things[1], object=shared["object"])
    if (
        node.relation == "difference"
        and solved.values[node.inputs[0]] < solved.values[node.inputs[1]]
    ):
        slots |= {"A": slots["B"], "B": slots["A"]}
    if language == "es":
        slots |= gendered(things[2]) | hour_gender(shared["hour"][1])
    return slots


def matter(graph: Graph, i: int) -> str:
    """What the sentences about a node count: its own kind, or that of what becomes something else
    in it."""
    node = graph[i]
    if node.relation == "weeks":
        return matter(graph, node.inputs[0])
    if node.relation in ("sell", "cost", "pack", "takes", "missing"):
        return graph[node.inputs[0]].kind
    return node.kind


def comparison_slots(
    node: Node, graph: Graph, cast: list[str], verbs: dict[str, str], theme: Theme, language: str
) -> Slots:
    """Who is compared with, and whether that quantity has changed since it was told."""
    if not node.inputs or graph[node.inputs[0]].owner == THEY:
        return {"changed": False}
    other = graph[node.inputs[0]]
    changed = other.relation in CHANGES and node.owner != other.owner
    have = conjugate(verbs["have"], False)
    if language == "en":
        now, short = (f" {have} in all", "") if theme.is_done else (f" {have} now", " now")
    else:
        now, short = (" en total", "") if theme.is_done else (" ahora", " ahora")
    return {
        "R": cast[other.owner], "Rhave": have, "changed": changed,
        "now": now if changed else "", "rnow": short if changed else "",
    }  # fmt: skip


def number_words(k: int, plural_thing: str, shared: Slots, book: ModuleType) -> Slots:
    """Words that stand for a number: twice, a third, 25 percent."""
    of = book.WORDS
    times = of["times"](k)
    shares = of["shares"] | of["percents"] if shared["percent"] else of["percents"] | of["shares"]
    return {
        "ktimes": times.removesuffix(" de"), "ktimesT": f"{times} {plural_thing}",
        "part": of["parts"].get(k, ""), "share": shares.get(k, ""),
    }  # fmt: skip


GENDERED = {
    "los": "las", "Los": "Las", "uno": "una", "un": "una", "Un": "Una", "otro": "otra",
    "unos": "unas", "todos": "todas", "otros": "otras", "ellos": "ellas", "estos": "estas",
    "tantos": "tantas", "cuántos": "cuántas", "Cuántos": "Cuántas",
}  # fmt: skip


def gendered(gender: str) -> Slots:
    """Slots that agree with the things: "m" or "f"."""
    return {m: (f if gender == "f" else m) for m, f in GENDERED.items()}


def hour_gender(hour: str) -> Slots:
    feminine = hour != "día"
    words = ("Cuántas", "cuántas", "una") if feminine else ("Cuántos", "cuántos", "un")
    return dict(zip(("CuántasH", "cuántasH", "unaH"), words, strict=True))


def with_article(word: str) -> str:
    return f"{'an' if word[:1] in 'aeiou' and word else 'a'} {word}"


def conjugate(verb: str, several: bool) -> str:
    """`conjugate("eats|eat", True)` is "eat"."""
    one, _, many = verb.partition("|")
    return many if several and many else one


def plural(verb: str) -> str:
    return conjugate(verb, True)


def fill(sentence: str, slots: Slots, capital: bool = True) -> str:
    """A sentence with its slots filled, its verbs agreeing with the owner, and a capital letter."""
    several = slots["several"]
    filled = {
        name: conjugate(value, several) if isinstance(value, str) else value
        for name, value in slots.items()
    }
    text = re.sub(r"\[([^|\]]*)\|([^\]]*)\]", lambda m: m[2] if several else m[1], sentence)
    text = text.format_map(filled)
    if not capital:
        return text
    return re.sub(r"(^|[.!?] |¿)([a-záéíóúñ])", lambda m: m[1] + m[2].upper(), text)

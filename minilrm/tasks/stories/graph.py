"""The structure of a story: which quantity follows from which, without numbers, names or words.

A story is a small graph. Each node is a quantity that somebody has, and a relation says how it
follows from its inputs: `has` is told, `boxes` is a product of two told numbers, `more` needs the
quantity of someone else, `together` needs two. The last node is asked for, and every other node is
needed for it.

    together(boxes#0,loses(more(#0)))    Ana buys 4 boxes of 6 cookies each. Ben has 5 cookies more
                                         than Ana. Then Ben eats 8. How many have they together?

The text of a graph that does not depend on the order of what commutes is the **key** of the story:
stories with one key are the same story with other numbers, names, things and wordings, and lie in
the same split.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from minilrm.tasks.problem import split_of
from minilrm.tasks.stories.themes import Theme

#: relation -> arithmetic steps
STEPS = {
    "has": 0, "boxes": 1, "rate": 1, "each": 1,
    "more": 1, "fewer": 1, "times": 1, "part": 1,
    "gets": 1, "loses": 1, "half": 1, "gives_each": 2, "part_away": 2,
    "together": 1, "together3": 2, "difference": 1,
    "sell": 1, "cost": 1, "change": 1, "missing": 1, "weeks": 1,
    "share": 1, "pack": 1, "takes": 1, "longer": 1, "lasts": 1,
}  # fmt: skip
PRODUCTS = ("boxes", "rate", "each")
COMPARISONS = ("more", "fewer", "times", "part")
CHANGES = ("gets", "loses", "half", "gives_each", "part_away")
TAKES_AWAY = ("loses", "half", "gives_each", "part_away")
MERGES = ("together", "together3", "difference")
LAST = ("difference", "share", "lasts", "weeks")  # nothing follows on these
#: which relations can follow on a quantity, by what it is a quantity of
FOLLOWS = {
    "things": ("sell", "cost", "pack", "takes", "share", "lasts", "missing"),
    "money": ("gets", "loses", "half", "part_away", "share", "missing"),
    "bill": ("change",),
    "boxes": ("sell",),
    "minutes": ("longer",),
    "goal": ("weeks",),
    "years": (),
}
#: what a relation makes of a quantity; the others leave it what it is
BECOMES = {"sell": "money", "cost": "bill", "change": "money", "pack": "boxes", "takes": "minutes",
           "missing": "goal"}  # fmt: skip
OFTENER = {"has": 3, "together": 3, "together3": 3}  # the others are drawn once as often
PEOPLE = 3  # at most
THEY = -1  # the owner of what was put together


@dataclass(frozen=True)
class Node:
    """relation: a key of STEPS. inputs: places of earlier nodes. owner: 0, 1, 2, or THEY. kind: a
    key of FOLLOWS."""

    relation: str
    inputs: tuple[int, ...]
    owner: int
    kind: str


Graph = tuple[Node, ...]


# -- drawing one -----------------------------------------------------------------------------------


def draw_graph(rng: random.Random, theme: Theme, steps: int) -> Graph:
    """A random graph of so many steps whose last node needs all the others."""
    while True:
        graph = try_graph(rng, theme, steps)
        if graph is not None and sinks(graph) == [len(graph) - 1]:
            return graph


def try_graph(rng: random.Random, theme: Theme, steps: int) -> Graph | None:
    """Add nodes at random until the steps are reached; None where nothing more can be added."""
    graph: list[Node] = []
    while (left := steps - sum(STEPS[n.relation] for n in graph)) or not graph:
        found = [
            node
            for node in possible(graph, theme)
            if node.relation in theme.relations and STEPS[node.relation] <= left
        ]
        if not found or (graph and is_last(graph[-1])):
            return None
        # First the relation, then to whom: otherwise many people crowd out the rest.
        relations = sorted({node.relation for node in found})
        [relation] = rng.choices(relations, [OFTENER.get(r, 1) for r in relations])
        graph.append(rng.choice([node for node in found if node.relation == relation]))
    return tuple(graph)


def is_last(node: Node) -> bool:
    """Whether nothing can follow on a node. An age is told of some other year only at the end."""
    return node.relation in LAST or (node.kind == "years" and node.relation in CHANGES)


def possible(graph: list[Node], theme: Theme) -> list[Node]:
    """All nodes that may come next."""
    kind = theme.kind
    newest = {node.owner: i for i, node in enumerate(graph)}
    people = [owner for owner in newest if owner != THEY]
    alone = not graph or (THEY not in newest and all(n.kind == kind for n in graph))
    found: list[Node] = []
    if alone and len(people) < PEOPLE:
        new = len(people)
        found += [Node(r, (), new, kind) for r in ("has", *PRODUCTS)]
        found += [Node(r, (newest[p],), new, kind) for p in people for r in COMPARISONS]
    if alone and kind != "years":
        found += [Node(r, (newest[p],), p, kind) for p in people for r in CHANGES]
    if alone and len(people) == 2 and comparable(graph, newest[0], newest[1]):
        found += [Node("difference", (newest[0], newest[1]), THEY, kind)]
    if alone and len(people) == 2:
        found += [Node("together", (newest[0], newest[1]), THEY, kind)]
    if alone and len(people) == 3:
        found += [Node("together3", tuple(newest[p] for p in people), THEY, kind)]
    if graph and len(ends := sinks(tuple(graph))) == 1:
        found += conversions(graph, ends[0], theme)
    return found


def comparable(graph: list[Node], a: int, b: int) -> bool:
    """Whether a difference of two quantities is worth asking for: not if one was told as so many
    more than the other."""
    return not any(
        graph[x].relation in ("more", "fewer") and graph[x].inputs == (y,)
        for x, y in ((a, b), (b, a))
    )


def conversions(graph: list[Node], at: int, theme: Theme) -> list[Node]:
    """What can become of the one quantity that is not used yet."""
    node = graph[at]
    follows = FOLLOWS[node.kind]
    if node.kind == "years":
        follows = ("gets", "loses") if node.owner != THEY and node.relation not in CHANGES else ()
    elif node.owner == THEY and node.kind == theme.kind:
        follows = (*follows, *CHANGES)
    if node.relation == "longer":  # one pause is enough
        follows = ()
    if node.relation in TAKES_AWAY:
        follows = tuple(r for r in follows if r != "cost")
    return [Node(r, (at,), node.owner, BECOMES.get(r, node.kind)) for r in follows]


def sinks(graph: Graph) -> list[int]:
    """The nodes that no other one needs."""
    used = {i for node in graph for i in node.inputs}
    return [i for i in range(len(graph)) if i not in used]


# -- its name, its shape, its pairs ----------------------------------------------------------------


def key(graph: Graph) -> str:
    """The story's key: its graph, in an order that does not depend on how it was drawn. The theme
    is no part of it: a graph of the test split stands in no training story, whatever the theme.

    >>> graph = (Node("has", (), 0, "things"), Node("more", (0,), 1, "things"))
    >>> key((*graph, Node("together", (1, 0), -1, "things")))
    'together(has#0,more(#0))'
    """
    return written(graph, str)


SHAPES = {
    **dict.fromkeys(("has",), "told"),
    **dict.fromkeys(PRODUCTS, "product"),
    **dict.fromkeys(COMPARISONS, "other"),
    **dict.fromkeys(MERGES, "join"),
}


def shape(graph: Graph) -> str:
    """The graph without its relations: what is told, a product, someone else's, joined, or made of
    one quantity ("then")."""
    return written(graph, lambda relation: SHAPES.get(relation, "then"))


def written(graph: Graph, name: Callable[[str], str]) -> str:
    """The graph as a formula of names. A node that is needed twice is written once, with a number,
    and afterwards as that number."""
    needed = [i for node in graph for i in node.inputs]
    numbers: dict[int, int] = {}

    def plain(i: int) -> str:
        return f"{name(graph[i].relation)}({','.join(sorted(map(plain, graph[i].inputs)))})"

    def write(i: int) -> str:
        if i in numbers:
            return f"#{numbers[i]}"
        inside = [write(j) for j in sorted(graph[i].inputs, key=plain)]
        text = name(graph[i].relation) + (f"({','.join(inside)})" if inside else "")
        if needed.count(i) > 1:
            numbers[i] = len(numbers)
            text += f"#{numbers[i]}"
        return text

    return write(len(graph) - 1)


def pairs(graph: Graph) -> set[tuple[str, str]]:
    """(relation, the relation that uses its result), for each edge of the graph."""
    return {(graph[i].relation, node.relation) for node in graph for i in node.inputs}


# -- what training never sees ----------------------------------------------------------------------


def is_unseen_pair(pair: tuple[str, str]) -> bool:
    """One pair in ten, by its hash. Pairs with a told quantity are never among them: they would
    take whole relations out of training."""
    return pair[0] != "has" and split_of("pair:" + ">".join(pair)) == "test"


def is_unseen_shape(text: str) -> bool:
    """One shape in ten of those with at least three operations, by its hash."""
    return text.count("(") >= 2 and split_of("shape:" + text) == "test"


def unseen_parts(graph: Graph) -> set[str]:
    """Which of "pairs" and "shapes" a graph has that training never sees."""
    found = {"pairs"} if any(map(is_unseen_pair, pairs(graph))) else set()
    return found | ({"shapes"} if is_unseen_shape(shape(graph)) else set())

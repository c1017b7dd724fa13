"""Orders: who is the tallest, who is the third oldest? Told are comparisons of two.

    Ana is taller than Ben. Carl is shorter than Ben. Who is the second tallest?

Asked for the first, the comparisons form any graph with one first; the chain of thought strikes out
one after the other. Asked for any other place, the comparisons fix the whole order; the chain of
thought lines them up, one more in each line.
"""

import hashlib
import random
from dataclasses import dataclass, replace

from minilrm.tasks.logic.words import Telling, arrange, draw_names, irrelevant

Edge = tuple[int, int]  # the first stands before the second

SIZES = {3: 0.2, 4: 0.35, 5: 0.45}  # people -> share of training
LARGEST = max(SIZES)
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh")
FIRST_ASKED = 0.4  # share of puzzles that ask for the first

#: more, less, most, least; the last one is kept out of training
SCALES = (
    ("taller", "shorter", "tallest", "shortest"),
    ("older", "younger", "oldest", "youngest"),
    ("faster", "slower", "fastest", "slowest"),
    ("stronger", "weaker", "strongest", "weakest"),
    ("richer", "poorer", "richest", "poorest"),
    ("heavier", "lighter", "heaviest", "lightest"),
)
UNSEEN_SCALES = (("louder", "quieter", "loudest", "quietest"),)

WORDINGS = ("{a} is {more} than {b}.", "{b} is {less} than {a}.")
UNSEEN_WORDINGS = ("Of {a} and {b}, {a} is the {more}.", "Of {a} and {b}, {b} is the {less}.")


@dataclass(frozen=True)
class Shape:
    """The structure. size: people, 0 before 1 before 2 in one order that fits. edges: what is told.
    place: which of them is asked for, 0 the first. first: whether that is the first; else it is
    neither end of the order."""

    size: int
    edges: tuple[Edge, ...]
    place: int
    first: bool

    @property
    def key(self) -> str:
        """The same for the same graph, whoever is who; in a whole order, also read from its other
        end."""
        if self.first:
            return f"order:{self.size}:first:{graph_name(self.size, self.edges)}"
        last = self.size - 1
        turned = [(last - b, last - a) for a, b in self.edges]
        names = []
        for place, edges in ((self.place, self.edges), (last - self.place, turned)):
            told = ",".join(f"{a}-{b}" for a, b in sorted(edges) if b > a + 1)
            names.append(f"order:{self.size}:{place}:{told}")
        return min(names)

    @property
    def difficulty(self) -> int:
        return self.size - 1


def graph_name(size: int, edges: tuple[Edge, ...]) -> str:
    """A name that graphs share if they differ in numbering alone: each node is named by its
    neighbours, again and again."""
    names = [""] * size
    for _ in range(size):
        said = [
            "/".join(
                (names[i], *sorted(names[b] + ">" for a, b in edges if a == i),
                 *sorted(names[a] + "<" for a, b in edges if b == i))
            )
            for i in range(size)
        ]  # fmt: skip
        names = [hashlib.sha256(text.encode()).hexdigest()[:8] for text in said]
    return hashlib.sha256("".join(sorted(names)).encode()).hexdigest()[:8]


def draw_shape(rng: random.Random, longer: int = 0) -> Shape:
    size = LARGEST + longer if longer else rng.choices(list(SIZES), list(SIZES.values()))[0]
    if rng.random() < FIRST_ASKED:
        edges = {(rng.randrange(b), b) for b in range(1, size)}
        for _ in range(rng.choice((0, 0, 1, 2, 3))):
            a, b = sorted(rng.sample(range(size), 2))
            edges.add((a, b))
        return Shape(size, tuple(sorted(edges)), 0, True)
    edges = {(a, a + 1) for a in range(size - 1)}
    for _ in range(rng.choice((0, 1, 2, 3))):
        a, b = sorted(rng.sample(range(size), 2))
        edges.add((a, b))
    return Shape(size, tuple(sorted(edges)), rng.randint(1, size - 2), False)


@dataclass(frozen=True)
class Order:
    """A shape with words. scale: more, less, most, least. from_most: the first of the shape is
    the one with the most (True) or the least. told: the edges as the sentences tell them."""

    shape: Shape
    names: tuple[str, ...]
    scale: tuple[str, str, str, str]
    from_most: bool
    told: tuple[Edge, ...] = ()

    @property
    def more(self) -> str:
        return self.scale[0] if self.from_most else self.scale[1]

    @property
    def less(self) -> str:
        return self.scale[1] if self.from_most else self.scale[0]

    @property
    def wanted(self) -> str:
        most = self.scale[2] if self.from_most else self.scale[3]
        return most if self.shape.place == 0 else f"{ORDINALS[self.shape.place]} {most}"

    @property
    def answer(self) -> str:
        return self.names[self.shape.place]

    def tell(self, rng: random.Random, telling: Telling) -> tuple["Order", str, bool] | None:
        """The puzzle with the order of its sentences, the question, and whether a sentence stands
        apart from those before it. None if the telling cannot be had."""
        edges = self.shape.edges
        unseen = -1 if telling.seen_wordings else rng.randrange(len(edges))
        apart = rng.random() < telling.reordered
        about = [frozenset(edge) for edge in edges]
        order = arrange(rng, about, linked=not apart)
        if order is None:
            if telling.reordered == 1:
                return None
            apart, order = False, arrange(rng, about, linked=True) or list(range(len(edges)))
        told = []
        for i in order:
            a, b = (self.names[person] for person in edges[i])
            wording = rng.choice(UNSEEN_WORDINGS if i == unseen else WORDINGS)
            told.append(wording.format(a=a, b=b, more=self.more, less=self.less))
        more = irrelevant(rng, self.names, telling)
        told = [*more, *told] if rng.random() < 0.5 else [*told, *more]
        text = " ".join([*told, f"Who is the {self.wanted}?"])
        return replace(self, told=tuple(edges[i] for i in order)), text, apart

    # -- inference ---------------------------------------------------------------------------------

    def begin(self) -> tuple[int, ...]:
        """Who has been struck out, or the line as far as it is known."""
        return ()

    def moves(self, state: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        """Every line that follows from the question and the lines before, and what is known after
        it."""
        if self.shape.first:
            found = {self.strike(a, b): tuple(sorted({*state, b})) for a, b in self.shape.edges}
            left = set(range(self.shape.size)) - set(state)
            return found | ({self.so(min(left)): state} if len(left) == 1 else {})
        found = {}
        for row in longer_rows(state, self.shape.edges):
            found[self.line_up(row)] = row
        if len(state) == self.shape.size:
            found[self.so(state[self.shape.place])] = state
        return found

    def strike(self, before: int, after: int) -> str:
        a, b = self.names[before], self.names[after]
        return f"{b} is not the {self.wanted}, as {a} is {self.more}."

    def line_up(self, row: tuple[int, ...]) -> str:
        return " > ".join(self.names[i] for i in row) + "."

    def so(self, person: int) -> str:
        return f"So {self.names[person]} is the {self.wanted}."

    def chain(self) -> list[str]:
        """The lines of a right solution."""
        last = self.so(self.shape.place)
        if self.shape.first:
            return [self.strike(*edge) for edge in self.strikes()] + [last]
        return [self.line_up(row) for row in self.rows()] + [last]

    def strikes(self) -> list[Edge]:
        """The comparisons, as told, each of which strikes out somebody more."""
        struck: set[int] = set()
        found = []
        for edge in self.told:
            if edge[1] not in struck:
                struck.add(edge[1])
                found.append(edge)
        return found

    def rows(self) -> list[tuple[int, ...]]:
        """The line as it grows: the first comparison of two neighbours, and then again and again
        the first that puts another neighbour at one of the ends."""
        near = [edge for edge in self.told if edge[1] == edge[0] + 1]
        rows: list[tuple[int, ...]] = [near[0]]
        while len(rows[-1]) < self.shape.size:
            row = rows[-1]
            a, b = next((a, b) for a, b in near if b == row[0] or a == row[-1])
            rows.append((a, *row) if b == row[0] else (*row, b))
        return rows

    def slip(self, rng: random.Random) -> tuple[list[str], str]:
        """A chain in which two are mixed up, and the wrong answer it leads to."""
        other = rng.choice([i for i in range(self.shape.size) if i != self.shape.place])
        if self.shape.first:
            kept = [edge for edge in self.strikes() if edge[1] != other]
            at = rng.randint(0, len(kept))
            lines = [self.strike(*edge) for edge in kept]
            lines.insert(at, self.strike(other, self.shape.place))
            return [*lines, self.so(other)], self.names[other]
        swap = {self.shape.place: other, other: self.shape.place}
        rows = [tuple(swap.get(i, i) for i in row) for row in self.rows()]
        return [*map(self.line_up, rows), self.so(other)], self.names[other]

    def plan(self) -> str:
        if self.shape.first:
            return f"Plan: strike out all who are {self.less} than somebody."
        return f"Plan: line them up, the {self.more} before the {self.less}."

    def check(self) -> str:
        if self.shape.first:
            return f"Check: nobody is said to be {self.more} than {self.answer}, ok."
        return "Check: every sentence fits, ok."


def longer_rows(row: tuple[int, ...], edges: tuple[Edge, ...]) -> list[tuple[int, ...]]:
    """All rows of one more, each neighbour told to stand where it stands.

    >>> longer_rows((0, 2), ((0, 1), (0, 2), (1, 2), (2, 3)))
    [(0, 1, 2), (0, 2, 3)]
    """
    if not row:
        return list(edges)
    people = sorted({person for edge in edges for person in edge} - set(row))
    return [
        longer
        for person in people
        for at in range(len(row) + 1)
        for longer in [(*row[:at], person, *row[at:])]
        if all(pair in edges for pair in zip(longer[max(at - 1, 0) : at + 2],
                                             longer[max(at - 1, 0) + 1 : at + 2], strict=False))
    ]  # fmt: skip


def pose(rng: random.Random, shape: Shape, seen: bool) -> Order:
    """Words for a shape."""
    scale = rng.choice(SCALES if seen else UNSEEN_SCALES)
    names = draw_names(rng, shape.size, seen)
    return Order(shape, tuple(names), scale, rng.random() < 0.5)

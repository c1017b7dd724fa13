"""Knights and knaves: knights tell the truth, knaves lie. Who is what?

    Ana says, "Ben and I are both knaves." Ben says, "Ana is a knave." Who are the knights?

A puzzle is a statement of each person, and has exactly one solution. Its chain of thought supposes
something where nothing follows at once, carries the supposition on until it contradicts itself, and
so learns the opposite.
"""

import itertools
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from minilrm.tasks.logic.words import Telling, draw_names, irrelevant, listed

Statement = tuple[str, int, int]  # a kind of `KINDS`, and two people (one twice for "knight")
Literal = tuple[int, bool]  # a person, and whether that is a knight
Known = dict[int, bool]

SIZES = {2: 0.3, 3: 0.7}  # people -> share of training
LARGEST = max(SIZES)
MOST_LINES = {2: 6, 3: 7, 4: 7, 5: 7}  # of a chain of thought
QUESTIONS = {"knights": 0.5, "knaves": 0.25, "how many": 0.25}
NOBODY = "nobody"

#: kind -> is it true of two people who are knights (True) or knaves (False)?
KINDS = {
    "knight": lambda a, b: a,
    "knave": lambda a, b: not a,
    "both knights": lambda a, b: a and b,
    "both knaves": lambda a, b: not a and not b,
    "a knight": lambda a, b: a or b,
    "a knave": lambda a, b: not (a and b),
    "same": lambda a, b: a == b,
    "differ": lambda a, b: a != b,
}
WORDINGS = {
    "knight": ("{a} is a knight.", "{a} always tells the truth."),
    "knave": ("{a} is a knave.", "{a} always lies."),
    "both knights": ("{a} and {b} are both knights.", "{a} and {b} are knights."),
    "both knaves": ("{a} and {b} are both knaves.", "{a} and {b} are knaves."),
    "a knight": ("At least one of {a} and {b} is a knight.", "{a} and {b} are not both knaves."),
    "a knave": ("At least one of {a} and {b} is a knave.", "{a} and {b} are not both knights."),
    "same": ("{a} and {b} are of the same kind.", "{a} and {b} are alike."),
    "differ": ("{a} and {b} are of different kinds.", "{a} and {b} are not alike."),
}
UNSEEN_WORDINGS = {
    "knight": "You can believe {a}.",
    "knave": "You cannot believe {a}.",
    "both knights": "You can believe both {a} and {b}.",
    "both knaves": "You can believe neither {a} nor {b}.",
    "a knight": "You can believe at least one of {a} and {b}.",
    "a knave": "You cannot believe both {a} and {b}.",
    "same": "{a} and {b} are both knights or both knaves.",
    "differ": "Just one of {a} and {b} is a knight.",
}
ASK = {
    "knights": "Who are the knights?",
    "knaves": "Who are the knaves?",
    "how many": "How many of them are knights?",
}
RULE = "Knights tell the truth, knaves lie."
PLAN = "Plan: see what follows, or suppose something."


class State(NamedTuple):
    """How far the inference is. known: of all; supposed: the literal that is tried, if any; then:
    what follows from it and `known`; refuted: a contradiction has been found."""

    known: tuple[Literal, ...] = ()
    supposed: Literal | None = None
    then: tuple[Literal, ...] = ()
    refuted: bool = False

    @property
    def all(self) -> Known:
        return dict(self.known + self.then)


@dataclass(frozen=True)
class Shape:
    """The structure: what person i says."""

    said: tuple[Statement, ...]

    @property
    def key(self) -> str:
        """The same for the same statements whoever makes them: the least of all numberings."""
        return "knights:" + min(
            ";".join(
                " ".join((kind, *map(str, sorted((order[a], order[b])))))
                for _, (kind, a, b) in sorted(zip(order, self.said, strict=True))
            )
            for order in itertools.permutations(range(len(self.said)))
        )

    @property
    def difficulty(self) -> int:
        return len(self.said)

    @cached_property
    def worlds(self) -> list[tuple[bool, ...]]:
        """All that they may be: for each person whether that is a knight."""
        return [
            world
            for world in itertools.product((False, True), repeat=len(self.said))
            if all(
                KINDS[kind](world[a], world[b]) == world[speaker]
                for speaker, (kind, a, b) in enumerate(self.said)
            )
        ]


def draw_shape(rng: random.Random, longer: int = 0) -> Shape:
    """Statements that have one solution, which short steps find."""
    size = LARGEST + longer if longer else rng.choices(list(SIZES), list(SIZES.values()))[0]
    while True:
        shape = Shape(tuple(draw_statement(rng, speaker, size) for speaker in range(size)))
        if len(shape.worlds) == 1:
            proof = prove(shape)
            if proof is not None and len(proof) <= MOST_LINES[size]:
                return shape


def draw_statement(rng: random.Random, speaker: int, size: int) -> Statement:
    kind = rng.choice(list(KINDS))
    if kind in ("knight", "knave"):  # nobody says it of himself: a knight and a knave would
        other = rng.choice([i for i in range(size) if i != speaker])
        return kind, other, other
    first, second = sorted(rng.sample(range(size), 2))
    return kind, first, second


# -- inference -------------------------------------------------------------------------------------


def values(shape: Shape, speaker: int, known: Known) -> Iterator[tuple[Known, bool]]:
    """All that the people of a statement may be, as far as is known, and whether it is true
    then."""
    kind, a, b = shape.said[speaker]
    open_ones = [person for person in dict.fromkeys((a, b)) if person not in known]
    for found in itertools.product((False, True), repeat=len(open_ones)):
        world = known | dict(zip(open_ones, found, strict=True))
        yield world, KINDS[kind](world[a], world[b])


Step = tuple[str, int, tuple[Literal, ...]]  # a form of line, who it is about, what is new


def steps(shape: Shape, state: State) -> list[tuple[Step, State]]:
    """Every step that follows from a state, and the state after it."""
    found: list[tuple[Step, State]] = []
    known = state.all
    if state.refuted:
        assert state.supposed
        person, kind = state.supposed
        learnt = (person, not kind)
        return [(("so", person, (learnt,)), State((*state.known, learnt)))]
    for speaker in range(len(shape.said)):
        possible = list(values(shape, speaker, known))
        if speaker in known:
            fitting = [world for world, true in possible if true == known[speaker]]
            if not fitting and state.supposed:
                found.append((("but", speaker, ()), state._replace(refuted=True)))
            form = "tells" if known[speaker] else "lies"
        else:
            if len({true for _, true in possible}) == 1:
                own = ((speaker, possible[0][1]),)
                found.append((("said", speaker, own), learn(state, own)))
            fitting = [world for world, true in possible if true == world.get(speaker, true)]
            form = "whether"
        new = tuple(
            (person, fitting[0][person])
            for person in sorted(set(shape.said[speaker][1:]) - set(known) - {speaker})
            if fitting and len({world[person] for world in fitting}) == 1
        )
        if new:
            found.append(((form, speaker, new), learn(state, new)))
    return found


def learn(state: State, new: tuple[Literal, ...]) -> State:
    if state.supposed:
        return state._replace(then=state.then + new)
    return state._replace(known=state.known + new)


def carry_on(shape: Shape, state: State) -> tuple[list[Step], State]:
    """All that follows, step by step, as far as it goes; a contradiction comes first."""
    taken: list[Step] = []
    while found := steps(shape, state):
        found.sort(key=lambda pair: pair[0][0] != "but")
        taken.append(found[0][0])
        state = found[0][1]
        if state.refuted:
            break
    return taken, state


def prove(shape: Shape) -> list[Step] | None:
    """The steps to the solution; None if one supposition at a time does not lead there."""
    proof, state = carry_on(shape, State())
    while len(state.known) < len(shape.said):
        best: list[Step] | None = None
        for person in range(len(shape.said)):
            for kind in (True, False):
                if person in state.all:
                    continue
                tried = refute(shape, state, (person, kind))
                if tried is not None and (best is None or len(tried) < len(best)):
                    best = tried
        if best is None:
            return None
        person, kind = best[-1][2][0]
        proof += best
        more, state = carry_on(shape, State((*state.known, (person, kind))))
        proof += more
    return proof


def refute(shape: Shape, state: State, literal: Literal) -> list[Step] | None:
    """From a supposition to its opposite, without steps that are not needed; None if it does not
    contradict itself."""
    person, kind = literal
    supposed = state._replace(supposed=literal, then=(literal,))
    taken, end = carry_on(shape, supposed)
    if not end.refuted:
        return None
    for step in taken[-2::-1]:
        fewer = [other for other in taken if other != step]
        if follows(shape, supposed, fewer):
            taken = fewer
    return [("suppose", person, (literal,)), *taken, ("so", person, ((person, not kind),))]


def follows(shape: Shape, state: State, taken: list[Step]) -> bool:
    """Whether each of the steps follows from those before it."""
    for step in taken:
        after = dict(steps(shape, state)).get(step)
        if after is None:
            return False
        state = after
    return True


# -- words -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Island:
    """A shape with words. question: a key of `QUESTIONS`."""

    shape: Shape
    names: tuple[str, ...]
    question: str

    @property
    def answer(self) -> str:
        return self.answer_in(self.shape.worlds[0])

    def answer_in(self, world: tuple[bool, ...]) -> str:
        if self.question == "how many":
            return str(sum(world))
        wanted = self.question == "knights"
        return (
            ", ".join(name for name, kind in zip(self.names, world, strict=True) if kind == wanted)
            or NOBODY
        )

    def tell(self, rng: random.Random, telling: Telling) -> tuple["Island", str, bool] | None:
        """The puzzle, the question, and whether they speak in another order than they are named."""
        n = len(self.names)
        unseen = -1 if telling.seen_wordings else rng.randrange(n)
        order = list(range(n))
        if rng.random() < telling.reordered:
            while order == sorted(order):
                rng.shuffle(order)
        told = []
        for speaker in order:
            kind, a, b = self.shape.said[speaker]
            wording = UNSEEN_WORDINGS[kind] if speaker == unseen else rng.choice(WORDINGS[kind])
            if speaker == a:  # "Ben and I", not "I and Ben"
                a, b = b, a
            who = ["I" if person == speaker else self.names[person] for person in (a, b)]
            if who[1] == "I" and re.search("You can|ne of {a}", wording):
                who[1] = "me"
            told.append(f'{self.names[speaker]} says, "{wording.format(a=who[0], b=who[1])}"')
        told = put_first(rng, told, irrelevant(rng, self.names, telling))
        who_lives = f"{listed(self.names)} are knights or knaves."
        asked = ASK[self.question]
        return self, " ".join([RULE, who_lives, *told, asked]), order != sorted(order)

    def write(self, step: Step) -> str:
        """A step as a line."""
        form, person, new = step
        name = self.names[person]
        said = listed([f"{self.names[who]} is a {self.kind(kind)}" for who, kind in new])
        return {
            "suppose": f"Suppose {said}.",
            "so": f"So {said}.",
            "tells": f"{name} tells the truth, so {said}.",
            "lies": f"{name} lies, so {said}.",
            "whether": f"Whether {name} lies or not, {said}.",
            "said": f"What {name} says is {'true' if new and new[0][1] else 'false'}, so {said}.",
        }[form]

    @staticmethod
    def kind(knight: bool) -> str:
        return "knight" if knight else "knave"

    # -- inference ---------------------------------------------------------------------------------

    def begin(self) -> State:
        return State()

    def moves(self, state: State) -> dict[str, State]:
        """Every line that follows, and the state after it."""
        found = {self.line(step, state): after for step, after in steps(self.shape, state)}
        if not state.supposed:
            for person in set(range(len(self.names))) - state.all.keys():
                for kind in (True, False):
                    literal = (person, kind)
                    line = self.write(("suppose", person, (literal,)))
                    found[line] = state._replace(supposed=literal, then=(literal,))
        return found

    def line(self, step: Step, state: State) -> str:
        """A step as a line; a contradiction names what the speaker is supposed to be."""
        if step[0] != "but":
            return self.write(step)
        name, knight = self.names[step[1]], state.all[step[1]]
        return (
            f"But {name} would be a {self.kind(knight)} and say what is "
            f"{'false' if knight else 'true'}."
        )

    def chain(self) -> list[str]:
        """The lines of a right solution."""
        lines, state = [], State()
        for step in prove(self.shape) or []:
            lines.append(self.line(step, state))
            state = self.moves(state)[lines[-1]]
        return lines

    def slip(self, rng: random.Random) -> tuple[list[str], str]:
        """A chain that goes wrong at one person, and the wrong answer it leads to."""
        proof, state, lines = prove(self.shape) or [], State(), []
        at = rng.choice([i for i, step in enumerate(proof) if step[0] not in ("suppose", "but")])
        for step in proof[:at]:
            lines.append(self.line(step, state))
            state = self.moves(state)[lines[-1]]
        form, speaker, new = proof[at]
        turned = tuple((person, not kind) for person, kind in new)
        lines.append(self.write((form, speaker, turned)))
        world = list(self.shape.worlds[0])
        person = turned[0][0]
        world[person] = not world[person]
        return lines, self.answer_in(tuple(world))

    def plan(self) -> str:
        return PLAN

    def check(self) -> str:
        world = self.shape.worlds[0]
        said = ", ".join(
            f"{name} {'tells the truth' if kind else 'lies'}"
            for name, kind in zip(self.names, world, strict=True)
        )
        return f"Check: {said}, ok."


def put_first(rng: random.Random, told: list[str], more: list[str]) -> list[str]:
    """What does not matter stands before what they say or behind it."""
    return [*more, *told] if rng.random() < 0.5 else [*told, *more]


def pose(rng: random.Random, shape: Shape, seen: bool) -> Island:
    """Words for a shape."""
    question = rng.choices(list(QUESTIONS), list(QUESTIONS.values()))[0]
    return Island(shape, tuple(draw_names(rng, len(shape.said), seen)), question)

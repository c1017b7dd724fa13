"""Syllogisms over categories: "All crows are black. Jacques is not black. Is Jacques a crow?"

A puzzle is rules over terms (all, no, some), facts about individuals, and a question about the
first of them. The answer is yes, no or unknown. It is drawn as a path from what is told of the
individual to what is asked, one letter a step:

    F  all p are q, from p to q              f  all q are p: from p nothing follows about q
    B  all q are p, from not p to not q      b  all p are q: from not p nothing follows about q
    N  no p is q, from p to not q            s  some p are q: nothing follows about q
    M  no q is p, from p to not q

A path with one small letter has the answer unknown. Extra rules hang leaves on the path, and facts
about another individual stand beside it; neither changes the answer.
"""

import itertools
import random
from dataclasses import dataclass
from functools import cached_property

from minilrm.tasks.logic.words import (
    Telling,
    arrange,
    article,
    draw_names,
    draw_terms,
    irrelevant,
    plural,
    put_in,
)

Rule = tuple[str, int, int]  # "all", "no" or "some", and two terms
Literal = tuple[int, bool]  # a term, and whether the individual is that

LENGTHS = {1: 0.25, 2: 0.4, 3: 0.35}  # steps -> share of training
LONGEST = max(LENGTHS)
EXTRAS = {0: 0.45, 1: 0.35, 2: 0.2}  # extra sentences -> share
EXTRA_KINDS = ("all out", "all in", "no", "some", "is", "is not")
ANSWERS = ("yes", "no", "unknown")

WORDINGS = {
    "all": ("All {ps} are {qs}.", "Every {p} is {q}.", "Each {p} is {q}."),
    "no": ("No {p} is {q}.", "{Ps} are never {qs}.", "No {ps} are {qs}."),
    "some": ("Some {ps} are {qs}.", "A few {ps} are {qs}.", "Many {ps} are {qs}."),
}
UNSEEN_WORDINGS = {
    "all": "Any {p} is also {q}.",
    "no": "Not one {p} is {q}.",
    "some": "There are {ps} that are {qs}.",
}
PLAN = "Plan: start from what is told of {name}, rule after rule."


@dataclass(frozen=True)
class Shape:
    """The structure. steps: the path, as above. starts: whether it starts from "is p". extras:
    (kind, the place on the path where it hangs)."""

    steps: str
    starts: bool
    extras: tuple[tuple[str, int], ...] = ()

    @property
    def key(self) -> str:
        """All but words and order: extras that commute are sorted."""
        extras = ",".join(sorted(f"{kind} {at}" for kind, at in self.extras))
        return f"categories:{'is' if self.starts else 'not'}:{self.steps}:{extras}"

    @property
    def difficulty(self) -> int:
        return len(self.steps)


def draw_shape(rng: random.Random, longer: int = 0) -> Shape:
    """A path and its extras; `longer`: steps more than any of training has."""
    length = LONGEST + longer if longer else rng.choices(list(LENGTHS), list(LENGTHS.values()))[0]
    answer = rng.choice(ANSWERS)
    starts, steps = draw_path(rng, length, yes=answer == "yes" or None)
    if answer == "no":
        while set(steps) == {"F"}:
            starts, steps = draw_path(rng, length)
    if answer == "unknown":
        at = rng.randrange(length)
        steps = steps[:at] + {"F": "f", "B": "b"}.get(steps[at], "s") + steps[at + 1 :]
        if rng.random() < 0.3:
            steps = steps[:at] + "s" + steps[at + 1 :]
    count = rng.choices(list(EXTRAS), list(EXTRAS.values()))[0]
    extras = tuple((rng.choice(EXTRA_KINDS), rng.randint(0, length)) for _ in range(count))
    return Shape(steps, starts, extras)


def draw_path(rng: random.Random, length: int, yes: bool | None = None) -> tuple[bool, str]:
    """Whether it starts from "is", and the steps: F F ... then perhaps one N or M and then B B ...;
    from "is not" all are B."""
    if yes:
        return True, "F" * length
    if rng.random() < 0.35:
        return False, "B" * length
    at = rng.randint(0, length)
    if at == length:
        return True, "F" * length
    return True, "F" * at + rng.choice("NM") + "B" * (length - at - 1)


@dataclass(frozen=True)
class Syllogism:
    """A shape with words. what: "animal". terms: (sort, word) each. names: the individual that is
    asked about, and another."""

    shape: Shape
    what: str
    terms: tuple[tuple[str, str], ...]
    names: tuple[str, ...]

    # -- structure ---------------------------------------------------------------------------------

    @cached_property
    def rules(self) -> list[Rule]:
        """The rules of the path in its order, then those of the extras."""
        kinds: dict[str, tuple[str, int, int]] = {
            "F": ("all", 0, 1), "f": ("all", 1, 0), "B": ("all", 1, 0), "b": ("all", 0, 1),
            "N": ("no", 0, 1), "M": ("no", 1, 0), "s": ("some", 0, 1),
        }  # fmt: skip
        rules = []
        for i, step in enumerate(self.shape.steps):
            kind, left, right = kinds[step]
            rules.append((kind, i + left, i + right))
        leaf = len(self.shape.steps)
        for kind, at in self.shape.extras:
            if not kind.startswith("is"):
                leaf += 1
                rules.append((kind[:3].strip(), leaf, at) if kind == "all in"
                             else ({"all out": "all"}.get(kind, kind), at, leaf))  # fmt: skip
        return rules

    @property
    def start(self) -> Literal:
        return (0, self.shape.starts)

    @property
    def asked(self) -> int:
        return len(self.shape.steps)

    @property
    def others(self) -> list[Literal]:
        """What is told of the other individual."""
        return list(
            dict.fromkeys((at, kind == "is") for kind, at in self.shape.extras if kind[:2] == "is")
        )

    @cached_property
    def worlds(self) -> list[tuple[bool, ...]]:
        """All that the individual may be: for each term whether it is that."""
        count = 1 + max(self.asked, *(max(rule[1:]) for rule in self.rules))
        return [
            world
            for world in itertools.product((False, True), repeat=count)
            if world[0] == self.shape.starts
            and not any(kind == "all" and world[p] and not world[q] for kind, p, q in self.rules)
            and not any(kind == "no" and world[p] and world[q] for kind, p, q in self.rules)
        ]

    @cached_property
    def answer(self) -> str:
        found = {world[self.asked] for world in self.worlds}
        return "unknown" if len(found) == 2 else "yes" if True in found else "no"

    # -- words -------------------------------------------------------------------------------------

    def is_a(self, term: int) -> str:
        sort, word = self.terms[term]
        return word if sort == "adjective" else article(word)

    def one(self, term: int) -> str:
        """As the subject of a sentence: "crow", "black animal"."""
        sort, word = self.terms[term]
        return f"{word} {self.what}" if sort == "adjective" else word

    def many(self, term: int) -> str:
        sort, word = self.terms[term]
        return f"{word} {plural(self.what)}" if sort == "adjective" else plural(word)

    def are(self, term: int) -> str:
        sort, word = self.terms[term]
        return word if sort == "adjective" else plural(word)

    def say(self, literal: Literal, name: int = 0) -> str:
        """`"Jacques is not a crow"`."""
        term, holds = literal
        return f"{self.names[name]} is {'' if holds else 'not '}{self.is_a(term)}"

    def state(self, rule: Rule, wording: str = "") -> str:
        kind, p, q = rule
        wording = wording or WORDINGS[kind][0]
        many = self.many(p)
        return wording.format(
            p=self.one(p), ps=many, Ps=many[0].upper() + many[1:],
            q=self.is_a(q), qs=self.are(q),
        )  # fmt: skip

    def tell(self, rng: random.Random, telling: Telling) -> tuple["Syllogism", str, bool] | None:
        """The puzzle, the question, and whether a sentence stands apart from those before it.
        None if the telling cannot be had."""
        sentences, about = [], []
        unseen = -1 if telling.seen_wordings else rng.randrange(len(self.rules))
        for i, rule in enumerate(self.rules):
            kind = rule[0]
            wording = UNSEEN_WORDINGS[kind] if i == unseen else rng.choice(WORDINGS[kind])
            sentences.append(self.state(rule, wording))
            about.append(frozenset(rule[1:]))
        for name, literals in enumerate(([self.start], self.others)):
            for literal in literals:
                sentences.append(self.say(literal, name) + ".")
                about.append(frozenset({literal[0]}))
        apart = rng.random() < telling.reordered
        order = arrange(rng, about, linked=not apart)
        if order is None and telling.reordered == 1:
            return None
        apart = apart and order is not None
        order = order or arrange(rng, about, linked=True) or list(range(len(about)))
        told = put_in(rng, [sentences[i] for i in order], irrelevant(rng, self.names, telling))
        asked = f"Is {self.names[0]} {self.is_a(self.asked)}?"
        return self, " ".join([*told, asked]), apart

    # -- inference ---------------------------------------------------------------------------------

    def begin(self) -> frozenset[Literal]:
        """What is known of the individual before the first line."""
        return frozenset({self.start})

    def moves(self, known: frozenset[Literal]) -> dict[str, frozenset[Literal]]:
        """Every line that follows from the question and what is known, and what is known after
        it."""
        found: dict[str, frozenset[Literal]] = {}
        for rule in self.rules:
            for literal in known:
                reached = conclude(rule, literal)
                if reached:
                    found[self.infer(rule, literal, reached)] = known | {reached}
            kind, p, q = rule
            if kind == "all" and ("all", q, p) not in self.rules or kind == "some":
                found[self.gap(rule)] = known
        for term in range(len(self.terms)):
            if len({world[term] for world in self.worlds}) == 2:
                found[self.open(term)] = known
        return found

    def infer(self, rule: Rule, literal: Literal, reached: Literal) -> str:
        told = self.state(rule).removesuffix(".")
        return f"{told} and {self.say(literal)}, so {self.say(reached)}."

    def gap(self, rule: Rule) -> str:
        """Why a rule does not lead on."""
        told = self.state(rule).removesuffix(".")
        if rule[0] == "some":
            return f"{told}, but others may not be."
        return f"{told}, but others may be {self.are(rule[2])} too."

    def open(self, term: int) -> str:
        return f"So {self.names[0]} may be {self.is_a(term)} or not."

    def chain(self) -> list[str]:
        """The lines of a right solution."""
        lines: list[str] = []
        literal = self.start
        for rule in self.rules[: len(self.shape.steps)]:
            reached = conclude(rule, literal)
            if reached is None:
                return [*lines, self.gap(rule), self.open(self.asked)]
            lines.append(self.infer(rule, literal, reached))
            literal = reached
        return lines

    def slip(self, rng: random.Random) -> tuple[list[str], str]:
        """A chain with a fallacy, and the wrong answer it leads to: a rule is read backwards, or a
        conclusion is turned round."""
        lines: list[str] = []
        literal = self.start
        at = rng.randrange(len(self.shape.steps))
        for i, rule in enumerate(self.rules[: len(self.shape.steps)]):
            right = conclude(rule, literal)
            reached = (i + 1, literal[1]) if right is None else right
            if i == at and right:
                reached = (i + 1, not right[1])
            lines.append(self.infer(rule, literal, reached))
            literal = reached
            if right is None or i == at:
                break
        wrong = [answer for answer in ANSWERS if answer != self.answer]
        last = lines and literal[0] == self.asked
        return lines, ("yes" if literal[1] else "no") if last else rng.choice(wrong)

    def plan(self) -> str:
        return PLAN.format(name=self.names[0])

    def check(self) -> str:
        if self.answer == "unknown":
            here = self.is_a(self.asked)
            return f"Check: {self.names[0]} can be {here}, and can be not {here}, ok."
        terms = list(range(len(self.shape.steps) + 1))
        known = {term: self.worlds[0][term] for term in terms}
        said = ", ".join(f"{'' if known[t] else 'not '}{self.is_a(t)}" for t in terms)
        return f"Check: {self.names[0]} is {said}, ok."


def conclude(rule: Rule, literal: Literal) -> Literal | None:
    """What one rule makes of one literal.

    >>> conclude(("all", 0, 1), (1, False)), conclude(("all", 0, 1), (1, True))
    ((0, False), None)
    """
    kind, p, q = rule
    if kind == "all":
        return {(p, True): (q, True), (q, False): (p, False)}.get(literal)
    if kind == "no":
        return {(p, True): (q, False), (q, True): (p, False)}.get(literal)
    return None


def pose(rng: random.Random, shape: Shape, seen: bool) -> Syllogism:
    """Words for a shape."""
    leaves = sum(not kind.startswith("is") for kind, _ in shape.extras)
    what, terms = draw_terms(rng, len(shape.steps) + 1 + leaves, seen)
    return Syllogism(shape, what, tuple(terms), tuple(draw_names(rng, 2, seen)))

"""A word problem with its numbers, names and wordings left open, and how to fill them in.

A `Template` is data: the sentences of one small story in English and Spanish, the ranges of its
numbers, and its solution as a chain of arithmetic expressions. `fill` draws the numbers and the
words and makes a `Problem` of them.
"""

import operator
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

from minilrm.tasks.base import Problem

LANGUAGES = ("en", "es")
LARGEST = 400  # no step of a problem exceeds it, so that a small model can learn every sum
LARGEST_OOD = 2000

Alternatives = tuple[str, ...]


@dataclass(frozen=True)
class Template:
    """One story.

    name: unique, snake_case. numbers: variable -> (low, high), both included. steps: expressions of
    the solution in order; `s1`, `s2`, ... stand for the results of earlier steps. text: language ->
    the sentences of the question in order, each a tuple of wordings to choose from. The last one
    asks. working: language -> one sentence a step, with `{calc}` where the sum stands. plan:
    language -> what each step finds, a few words each. distractors: language -> sentences with a
    number `{d}` that does not matter; one may be put before the question. where: a further
    condition on the values (variables and s1, s2, ...).

    Sentences may use every variable and the words that `words()` draws: {name} {other} {thing}
    {thing2} {place}.
    """

    name: str
    numbers: Mapping[str, tuple[int, int]]
    steps: tuple[str, ...]
    text: Mapping[str, tuple[Alternatives, ...]]
    working: Mapping[str, tuple[str, ...]]
    plan: Mapping[str, tuple[str, ...]]
    distractors: Mapping[str, Alternatives]
    where: Callable[[Mapping[str, int | Fraction]], bool] | None = None


def pairs(text: str) -> tuple[list[str], ...]:
    """Words in English and Spanish: `pairs("cup/taza box/caja")` is
    `(["cup", "taza"], ["box", "caja"])`."""
    return tuple(pair.split("/") for pair in text.split())


NAMES = {
    "en": "Ana Ben Carl Dan Emma Eva Fay Finn Gus Hana Ivan Jack Jill Kate Leo Lily Max Mia Nora "
    "Omar Paul Rosa Sam Tom".split(),
    "es": "Ana Luis Carlos Dani Emma Eva Marta Hugo Inés Iván Jorge Julia Leo Lola Marcos María "
    "Nora Omar Pablo Rosa Sara Tomás Vera Zoe".split(),
}
# Countable things in the plural; in Spanish all feminine, so that every template can say "cuántas
# {thing}".
THINGS = pairs("""
    apples/manzanas pears/peras cards/cartas coins/monedas balls/pelotas flowers/flores
    cookies/galletas candles/velas shirts/camisas boxes/cajas chairs/sillas cups/tazas
    lamps/lámparas stamps/estampas shells/conchas beads/cuentas plants/plantas
""")
PLACES = pairs("market/feria shop/tienda school/escuela park/plaza library/biblioteca farm/granja")


def words(rng: random.Random, language: str) -> dict[str, str]:
    """Names, things and a place for one story; in Spanish every thing and place is feminine."""
    column = LANGUAGES.index(language)
    name, other = rng.sample(NAMES[language], 2)
    thing, thing2 = rng.sample(THINGS, 2)
    place = rng.choice(PLACES)
    return {
        "name": name,
        "other": other,
        "thing": thing[column],
        "thing2": thing2[column],
        "place": place[column],
    }


def translate(slots: Mapping[str, Any], language: str, other: str) -> dict[str, Any]:
    """Things and places in the other language; names and numbers stay.

    >>> translate({"name": "Luis", "thing": "velas", "a": 3}, "es", "en")
    {'name': 'Luis', 'thing': 'candles', 'a': 3}
    """
    column, into = LANGUAGES.index(language), LANGUAGES.index(other)
    known = {pair[column]: pair[into] for pair in (*THINGS, *PLACES)}
    foreign = ("thing", "thing2", "place")
    return {slot: known[word] if slot in foreign else word for slot, word in slots.items()}


@cache
def parse_step(step: str) -> tuple[str, str, str]:
    """`"s1-b"` is ("s1", "-", "b"): each step is one operation on two things."""
    at = next(i for i, ch in enumerate(step) if ch in OPERATIONS)
    return step[:at].strip(), step[at], step[at + 1 :].strip()


def substitute(step: str, values: Mapping[str, int | Fraction]) -> str:
    """Write the numbers into a step.

    >>> substitute("a*s1", {"a": 3, "s1": 4})
    '3*4'
    """
    left, op, right = parse_step(step)
    return f"{values.get(left, left)}{op}{values.get(right, right)}"


def solve(
    steps: tuple[str, ...] | list[str], numbers: Mapping[str, int | Fraction]
) -> dict[str, int | Fraction]:
    """All values of a story: its numbers and the result of each step.

    >>> solve(("a*b", "m-s1"), {"a": 3, "b": 4, "m": 20})
    {'a': 3, 'b': 4, 'm': 20, 's1': 12, 's2': 8}
    """
    values: dict[str, int | Fraction] = dict(numbers)
    for i, step in enumerate(steps, 1):
        left, op, right = parse_step(step)
        a, b = (values[x] if x in values else int(x) for x in (left, right))
        values[f"s{i}"] = OPERATIONS[op](a, b)
    return values


def divide(a: int | Fraction, b: int | Fraction) -> int | Fraction:
    whole, rest = divmod(a, b)
    return Fraction(a, b) if rest else whole


OPERATIONS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": divide}


def draw_numbers(template: Template, rng: random.Random, larger: bool = False) -> dict[str, int]:
    """Numbers in range for which every step comes out whole, positive and small enough.

    `larger` draws from beyond the training range: from just above its top to twice that.
    """
    limit = LARGEST_OOD if larger else LARGEST
    for _ in range(10_000):
        numbers = {
            v: rng.randint(hi + 1, 2 * hi) if larger else rng.randint(lo, hi)
            for v, (lo, hi) in template.numbers.items()
        }
        try:
            values = solve(template.steps, numbers)
        except ArithmeticError:
            continue
        results = [values[f"s{i + 1}"] for i in range(len(template.steps))]
        if all(isinstance(r, int) and 0 < r <= limit for r in results):
            if template.where is None or template.where(values):
                return numbers
    raise ValueError(f"template {template.name!r} finds no numbers that fit (larger={larger})")


def fill(
    template: Template,
    rng: random.Random,
    language: str,
    *,
    numbers: Mapping[str, int],
    task: str,
    distractor: bool = False,
    translated: bool = False,
) -> Problem:
    """Put numbers and words into a template's sentences.

    translated: also into those of the other language's solution, which are kept in `meta`."""
    slots = {**words(rng, language), **numbers, "d": rng.randint(2, 30)}
    sentences = [rng.choice(alternatives) for alternatives in template.text[language]]
    if distractor:
        sentences.insert(len(sentences) - 1, rng.choice(template.distractors[language]))
    values = solve(template.steps, numbers)
    key = template.name + ":" + "-".join(str(numbers[v]) for v in template.numbers)
    meta = {
        "template": template.name,
        "language": language,
        "numbers": dict(numbers),
        "distractor": distractor,
        "expressions": list(template.steps),
        "sentences": [s.format(calc="{calc}", **slots) for s in template.working[language]],
        "plan": [p.format(**slots) for p in template.plan[language]],
    }
    if translated:
        other = next(name for name in LANGUAGES if name != language)
        abroad = translate(slots, language, other)
        meta["translated"] = [s.format(calc="{calc}", **abroad) for s in template.working[other]]
    return Problem(
        task=task,
        prompt=" ".join(s.format(**slots) for s in sentences),
        answer=str(values[f"s{len(template.steps)}"]),
        key=key,
        difficulty=len(template.steps),
        meta=meta,
    )

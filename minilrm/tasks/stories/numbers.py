"""Numbers for a graph: drawn so that every quantity comes out whole, positive and small enough."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from minilrm.tasks.stories.graph import Graph, Node
from minilrm.tasks.templates.template import OPERATIONS, parse_step

LARGEST = 300  # no number of a training story exceeds it


@dataclass(frozen=True)
class Solved:
    """numbers: variable -> value, as told. steps: expressions. values: those of the nodes."""

    numbers: dict[str, int]
    steps: list[str]
    values: list[int]


def draw_numbers(
    graph: Graph, rng: random.Random, largest: int = LARGEST, above: int = 0
) -> Solved | None:
    """Numbers that fit, the largest of all in (above, largest]; None if some tries found none."""
    for _ in range(60):
        solved = try_numbers(graph, rng, largest)
        if solved and max([*solved.numbers.values(), *solved.values]) > above:
            return solved
    return None


def try_numbers(graph: Graph, rng: random.Random, largest: int) -> Solved | None:
    numbers: dict[str, int] = {}
    known: dict[str, int | Fraction] = {}  # the numbers, and the result of each step
    steps: list[str] = []
    names: list[str] = []  # of each node's quantity in `known`
    for i, node in enumerate(graph):
        inputs = [int(known[names[j]]) for j in node.inputs]
        told = tell(node, inputs, rng, largest)
        if told is None:
            return None
        numbers |= {f"{name}{i}": value for name, value in told.items()}
        known |= {f"{name}{i}": value for name, value in told.items()}
        slots = {f"<{name}>": f"{name}{i}" for name in told}
        slots |= {f"<{place}>": names[j] for place, j in enumerate(node.inputs)}
        for step in arithmetic(node, inputs):
            for slot, name in (slots | {"<last>": f"s{len(steps)}"}).items():
                step = step.replace(slot, name)
            steps.append(step)
            left, op, right = parse_step(step)
            a, b = (known[x] if x in known else int(x) for x in (left, right))
            known[f"s{len(steps)}"] = OPERATIONS[op](a, b)
        names.append(f"s{len(steps)}" if arithmetic(node, inputs) else f"a{i}")
        if not all(isinstance(v, int) and 0 < v <= largest for v in known.values()):
            return None
    return Solved(numbers, steps, [int(known[name]) for name in names])


def tell(node: Node, inputs: list[int], rng: random.Random, largest: int) -> dict[str, int] | None:
    """The numbers that a sentence tells; None if there is none that fits."""
    v = inputs[0] if inputs else 0
    scale = max(1, largest // LARGEST)
    years = node.kind == "years"
    match node.relation:
        case "has":
            return {"a": rng.randint(4, 30) if years else rng.randint(3, 60 * scale)}
        case "boxes" | "each" | "rate":
            return {"a": rng.randint(2, 12), "b": rng.randint(2, 12 * scale)}
        case "more" | "gets":
            return {"d": rng.randint(2, 20 if years else 40 * scale)}
        case "fewer" | "loses":
            return {"d": rng.randint(2, min(v - 1, 40 * scale))} if v > 2 else None
        case "times":
            return {"k": rng.randint(2, 5)}
        case "part":
            return divisor(v, (2, 3, 4, 5), "k", rng)
        case "part_away":
            return divisor(v, (3, 4, 5, 10), "k", rng)
        case "half":
            return {} if v % 2 == 0 else None
        case "gives_each":
            n, b = rng.randint(2, 6), rng.randint(2, 9 * scale)
            return {"n": n, "b": b} if n * b < v else None
        case "sell" | "cost":
            return {"p": rng.randint(2, 9)}
        case "change":
            n = v + rng.randint(1, 60 * scale)
            return {"n": n if rng.random() < 0.5 else n + -n % 10}
        case "missing":
            return {"P": v + rng.randint(2, 80 * scale)}
        case "weeks" | "pack":
            return divisor(v, range(2, 13), "n", rng)
        case "share" | "lasts":
            return divisor(v, range(2, 11), "n", rng)
        case "takes":
            return {"n": rng.randint(2, 6)}
        case "longer":
            return {"d": rng.randint(5, 40 * scale)}
    return {}


def divisor(
    value: int, candidates: Iterable[int], name: str, rng: random.Random
) -> dict[str, int] | None:
    """One of the candidates that divides the value, under this name."""
    found = [n for n in candidates if value % n == 0 and value > n]
    return {name: rng.choice(found)} if found else None


#: relation -> its steps; <0>, <1>, <2> are the inputs, <last> the step before
ARITHMETIC = {
    "has": [],
    "boxes": ["<a>*<b>"], "each": ["<a>*<b>"], "rate": ["<a>*<b>"],
    "more": ["<0>+<d>"], "gets": ["<0>+<d>"], "longer": ["<0>+<d>"],
    "fewer": ["<0>-<d>"], "loses": ["<0>-<d>"],
    "times": ["<0>*<k>"], "sell": ["<0>*<p>"], "cost": ["<0>*<p>"], "takes": ["<0>*<n>"],
    "part": ["<0>/<k>"], "half": ["<0>/2"],
    "weeks": ["<0>/<n>"], "share": ["<0>/<n>"], "pack": ["<0>/<n>"], "lasts": ["<0>/<n>"],
    "gives_each": ["<n>*<b>", "<0>-<last>"],
    "part_away": ["<0>/<k>", "<0>-<last>"],
    "together": ["<0>+<1>"],
    "together3": ["<0>+<1>", "<last>+<2>"],
    "change": ["<n>-<0>"], "missing": ["<P>-<0>"],
}  # fmt: skip


def arithmetic(node: Node, inputs: list[int]) -> list[str]:
    """The steps of a node. A difference is taken from the larger one."""
    if node.relation == "difference":
        return ["<0>-<1>"] if inputs[0] >= inputs[1] else ["<1>-<0>"]
    return ARITHMETIC[node.relation]

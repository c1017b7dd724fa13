"""What the project's one tokenizer learns from: the base corpus, and samples of all that later
tasks will need."""

import random
from collections.abc import Iterator

from minilrm.corpus.web import Web
from minilrm.tasks.base import problem_rng
from minilrm.tasks.templates.template import NAMES


def countdown_sample(rng: random.Random) -> str:
    a, b, c = rng.sample(range(1, 26), 3)
    x, y = rng.sample("+-*/", 2)
    return (
        f"Question: Use the numbers {a}, {b} and {c} to make {a * b + c}.\nAnswer:\ntry: {a} {x} "
        f"{b} = {a + b}, {a + b} {y} {c} = {a + b - c}; no\nwait, try: {a} * {b} = {a * b}, "
        f"{a * b} + {c} = {a * b + c}; ok\n<answer>{a} * {b} + {c}</answer>"
    )


def logic_sample(rng: random.Random) -> str:
    x, y, z = rng.sample(NAMES["en"], 3)
    taller = rng.choice(("taller", "older", "faster", "richer"))
    return (
        f"Question: {x} is {taller} than {y}. {y} is {taller} than {z}. Is {z} {taller} than {x}? "
        f"If all {x}s are {y}s, and no {y} is a {z}, which is true or false?\nAnswer: So {x} > {y} "
        f"and {y} > {z}, therefore {x} > {z}. Suppose not: a contradiction. The answer is "
        f"{rng.choice(('no', 'yes', 'true', 'false'))}."
    )


def ledger_sample(rng: random.Random) -> str:
    rows = "".join(
        f"{rng.choice(NAMES['en'])} | {rng.choice(('paid', 'received', 'sold', 'bought'))} | "
        f"{rng.randint(1, 300)}\n"
        for _ in range(4)
    )
    return (
        f"name | entry | amount\n{rows}<tool>SELECT SUM(amount) FROM ledger WHERE name = "
        f"'{rng.choice(NAMES['en'])}' AND entry = 'paid' GROUP BY name ORDER BY "
        f"amount;</tool><result>{rng.randint(1, 999)}</result>"
    )


def program_sample(rng: random.Random) -> str:
    f, n = rng.choice(("total", "double", "count", "largest")), rng.randint(2, 90)
    return (
        f"def {f}(values):\n    result = 0\n    for x in values:\n        if x > {n}:\n            "
        f"result = result + x\n        else:\n            result += {n}\n    return "
        f"result\n\nassert {f}([1, {n}, 3]) == "
        f"{n * 2}\nprint({f}(range({n})))\n<tool>calculator({n} * 3)</tool><result>{n * 3}</result>"
    )


def tokenizer_texts(seed: int = 0, documents: int = 24_000) -> Iterator[str]:
    """Samples of all that the project plans: four documents in five from the base corpus, the rest
    from what later tasks will need (countdown, logic, ledgers, small programs, tool calls)."""
    corpus = Web(seed)
    planned = (countdown_sample, logic_sample, ledger_sample, program_sample)
    for i in range(documents):
        rng = problem_rng(seed, i, "tokenizer")
        yield rng.choice(planned)(rng) if i % 5 == 0 else corpus.document(i).text

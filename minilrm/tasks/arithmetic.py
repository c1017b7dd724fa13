r"""Bare sums: add, subtract, multiply and short chains, worked digit by digit.

    Question: What is 47 + 38?
    Answer:
    <<40+30=70>>70
    <<7+8=15>>15
    <<70+15=85>>85
    #### 85

A solution is kept as a list of expressions (`["40+30", "7+8", "s1+s2"]`, where s1 is the result of
the first step), so that a slip in one step can be carried on faithfully through the rest. `ood` has
more digits than training ever sees.
"""

import random
import re

from minilrm.errors import UserError
from minilrm.tasks.base import SOLUTION_STYLES, Problem, Task, split_of
from minilrm.tasks.calculator import evaluate

KINDS = ("add", "subtract", "multiply", "chain")
UNDO = {"+": "-", "-": "+", "*": "/"}
WORDINGS = {
    "en": ("What is {sum}?", "Work out {sum}.", "How much is {sum}?"),
    "es": ("¿Cuánto es {sum}?", "Calcula {sum}.", "¿Cuánto da {sum}?"),
}
PLACES = {
    "en": ("ones", "tens", "hundreds", "thousands", "ten thousands", "hundred thousands"),
    "es": (
        "unidades",
        "decenas",
        "centenas",
        "millares",
        "decenas de millar",
        "centenas de millar",
    ),
}
PHRASES = {
    "en": {"plan": "Plan", "sum": "sum", "chain": "left to right", "check": "Check", "ok": "ok"},
    "es": {
        "plan": "Plan",
        "sum": "suma",
        "chain": "de izquierda a derecha",
        "check": "Prueba",
        "ok": "bien",
    },
}
MAX_OPTION_DIGITS = len(PLACES["en"]) - 1  # `ood` has one digit more, and every digit has a name
TRIES = 10_000


class Arithmetic(Task):
    """Sums of whole numbers; no result is negative.

    min_digits, max_digits: length of the numbers. A product has one such number and a single digit;
    the numbers of a chain are one digit shorter. spanish: share of the problems asked in Spanish.
    kinds: which of KINDS to draw.
    """

    name = "arithmetic"
    max_new_tokens = 224
    base = "gsm8k-mini-base"
    corpus = "web"

    def __init__(
        self,
        min_digits: int = 2,
        max_digits: int = 3,
        spanish: float = 0.25,
        kinds: tuple[str, ...] = KINDS,
    ):
        if not 1 <= min_digits <= max_digits <= MAX_OPTION_DIGITS:
            raise UserError(
                f"arithmetic: needs 1 <= min_digits <= max_digits <= {MAX_OPTION_DIGITS}"
            )
        if not kinds or set(kinds) - set(KINDS):
            raise UserError(f"arithmetic: kinds must be some of {', '.join(KINDS)}")
        self.min_digits, self.max_digits = min_digits, max_digits
        self.spanish, self.kinds = spanish, tuple(kinds)

    def sample(self, rng: random.Random, split: str = "train") -> Problem:
        for _ in range(TRIES):
            kind = rng.choice(self.kinds)
            expression = self.draw(rng, kind, larger=split == "ood")
            key = canonical_key(kind, expression)
            if split in ("ood", split_of(key)):
                return self.pose(rng, kind, expression, key)
        raise UserError(
            f"arithmetic: these options leave no problem for the split {split!r}; raise max_digits"
        )

    def pose(self, rng: random.Random, kind: str, expression: str, key: str) -> Problem:
        language = "es" if rng.random() < self.spanish else "en"
        steps = plan_steps(kind, expression)
        meta = {"kind": kind, "language": language, "expression": expression, "steps": steps}
        return Problem(
            self.name, ask(expression, language, rng), work(steps)[-1][1], key, len(steps), meta
        )

    def draw(self, rng: random.Random, kind: str, larger: bool = False) -> str:
        """An expression such as "47 + 38". `larger`: one of its numbers is longer than any that
        training sees."""
        if kind == "chain":
            top = max(1, self.max_digits - 1) + larger
            return draw_chain(rng, top if larger else 1, top)
        top = self.max_digits + larger
        a, b = (
            draw_number(rng, top if larger else self.min_digits, top),
            draw_number(rng, self.min_digits, top),
        )
        if kind == "multiply":
            return f"{a} * {rng.randint(2, 9)}"
        if kind == "add":
            return f"{a} + {b}" if rng.random() < 0.5 else f"{b} + {a}"
        return f"{max(a, b)} - {min(a, b)}"

    def solution(self, problem: Problem, rng: random.Random, style: str = "steps") -> str:
        if style not in SOLUTION_STYLES:
            raise ValueError(f"no solution style is called {style!r}")
        if style == "reflex":
            return f" #### {problem.answer}"
        steps = problem.meta["steps"]
        chain = work_carelessly(steps, rng) if style == "careless" else work(steps)
        return write(problem, chain, planned=style == "plan_verify")

    def reword(self, problem: Problem, rng: random.Random) -> Problem:
        prompt = ask(problem.meta["expression"], problem.meta["language"], rng)
        return Problem(
            problem.task, prompt, problem.answer, problem.key, problem.difficulty, problem.meta
        )


# ---- making sums


def draw_number(rng: random.Random, low_digits: int, high_digits: int) -> int:
    """A number without leading zero; every length is as likely as any other."""
    digits = rng.randint(low_digits, high_digits)
    return rng.randint(10 ** (digits - 1), 10**digits - 1)


def draw_chain(rng: random.Random, low_digits: int, high_digits: int) -> str:
    """Three or four numbers, as in "12 + 7 - 5": never below zero on the way, and only the first
    sign may be `*`.

    So "from left to right" is right, and no rule of precedence is needed.
    """
    total = draw_number(rng, low_digits, high_digits)
    expression = str(total)
    for i in range(rng.randint(2, 3)):
        sign, value = rng.choice("+-*" if i == 0 else "+-"), draw_number(rng, 1, high_digits)
        if sign == "*":
            value = rng.randint(2, 9)
        elif value > total:
            sign = "+"
        total = {"+": total + value, "-": total - value, "*": total * value}[sign]
        expression += f" {sign} {value}"
    return expression


def canonical_key(kind: str, expression: str) -> str:
    """The sum whatever the order of its terms: "47 + 38" and "38 + 47" are one problem.

    >>> canonical_key("add", "47 + 38"), canonical_key("subtract", "85 - 38")
    ('add:38+47', 'subtract:85-38')
    >>> canonical_key("chain", "6 * 4 - 5 + 2")
    'chain:2+4*6-5'
    """
    plus: list[list[int]] = []
    minus: list[list[int]] = []
    for term in expression.replace("- ", "+ -").split(" + "):
        factors = sorted(int(factor) for factor in term.lstrip("-").split(" * "))
        (minus if term.startswith("-") else plus).append(factors)
    sides = (
        ["*".join(map(str, term)) for term in sorted(plus)],
        ["*".join(map(str, term)) for term in sorted(minus)],
    )
    return f"{kind}:" + "-".join(["+".join(sides[0]), *sides[1]])


def ask(expression: str, language: str, rng: random.Random) -> str:
    return rng.choice(WORDINGS[language]).replace("{sum}", expression)


# ---- solving them


def plan_steps(kind: str, expression: str) -> list[str]:
    """The steps of a sum, each small enough to know by heart; `s1` is the result of step 1.

    >>> plan_steps("add", "47 + 38"), plan_steps("subtract", "85 - 38")
    (['40+30', '7+8', 's1+s2'], ['85-30', 's1-8'])
    >>> plan_steps("multiply", "47 * 6"), plan_steps("chain", "12 + 7 - 5")
    (['40*6', '7*6', 's1+s2'], ['12+7', 's1-5'])
    """
    first, *rest = expression.split()
    pairs = [(sign, int(value)) for sign, value in zip(rest[::2], rest[1::2], strict=True)]
    if kind == "chain":
        return one_after_another(first, [sign + str(value) for sign, value in pairs])
    a, b = int(first), pairs[0][1]
    if kind == "subtract":
        return one_after_another(first, [f"-{part}" for part in place_values(b).values()])
    if kind == "multiply":
        steps = [f"{part}*{b}" for part in place_values(a).values()]
        parts = [f"s{i + 1}" for i in range(len(steps))]
    else:
        steps, parts = add_places(place_values(a), place_values(b))
    return steps + one_after_another(parts[0], [f"+{part}" for part in parts[1:]], len(steps))


def one_after_another(start: str, moves: list[str], done: int = 0) -> list[str]:
    """Each move starts from the result before it; `done` steps went before.

    >>> one_after_another("12", ["+7", "-5"])
    ['12+7', 's1-5']
    """
    return [(start if i == 0 else f"s{done + i}") + move for i, move in enumerate(moves)]


def add_places(a: dict[int, int], b: dict[int, int]) -> tuple[list[str], list[str]]:
    """Hundreds to hundreds, tens to tens: the steps, and what is then to be summed. Nothing is
    added to a zero.

    >>> add_places({1: 40, 0: 7}, {1: 30})
    (['40+30'], ['s1', '7'])
    """
    steps, parts = [], []
    for place in sorted({*a, *b}, reverse=True):
        if place in a and place in b:
            steps.append(f"{a[place]}+{b[place]}")
            parts.append(f"s{len(steps)}")
        else:
            parts.append(str(a.get(place) or b[place]))
    return steps, parts


def place_values(n: int) -> dict[int, int]:
    """Place -> what the digit there is worth, without zeros: `place_values(407)` is
    `{2: 400, 0: 7}`."""
    digits = str(n)
    return {
        p: int(d) * 10**p
        for p, d in zip(range(len(digits) - 1, -1, -1), digits, strict=True)
        if d != "0"
    }


def work(steps: list[str], slip_at: int | None = None, slip: int = 0) -> list[tuple[str, str]]:
    """Carry the steps out: (expression with its numbers, result) for each. Step `slip_at` goes
    wrong by `slip`.

    >>> work(["40+30", "7+8", "s1+s2"])
    [('40+30', '70'), ('7+8', '15'), ('70+15', '85')]
    >>> work(["40+30", "7+8", "s1+s2"], slip_at=1, slip=-10)
    [('40+30', '70'), ('7+8', '5'), ('70+5', '75')]
    """
    values: dict[str, int] = {}
    chain = []
    for i, step in enumerate(steps):
        expression = re.sub(r"s[0-9]+", lambda name: str(values[name[0]]), step)
        result = int(evaluate(expression)) + (slip if i == slip_at else 0)
        values[f"s{i + 1}"] = result
        chain.append((expression, str(result)))
    return chain


def work_carelessly(steps: list[str], rng: random.Random) -> list[tuple[str, str]]:
    """One step goes wrong, the rest is worked faithfully on it; as no step multiplies by 0, the
    result is wrong too."""
    for _ in range(20):
        chain = work(steps, rng.randrange(len(steps)), rng.choice((-10, -1, 1, 10)))
        if all(int(result) >= 0 for _, result in chain):
            return chain
    return work(steps, len(steps) - 1, 1)


# ---- writing them down


def write(problem: Problem, chain: list[tuple[str, str]], planned: bool = False) -> str:
    """The worked steps, one per line. `planned` names them first, numbers them, and undoes the sum
    as a check."""
    lines = [f"<<{expression}={result}>>{result}" for expression, result in chain]
    if planned:
        words = PHRASES[problem.meta["language"]]
        lines = [f"{i}. {line}" for i, line in enumerate(lines, 1)]
        lines.insert(0, f"{words['plan']}: {outline(problem)}.")
        lines.append(f"{words['check']}: {check(problem, chain)}, {words['ok']}.")
    return "\n" + "\n".join(lines) + f"\n#### {chain[-1][1]}"


def outline(problem: Problem) -> str:
    """What will be done, in a few words: "tens, ones, sum"."""
    kind, language = problem.meta["kind"], problem.meta["language"]
    words = PHRASES[language]
    if kind == "chain":
        return words["chain"]
    a, _, b = problem.meta["expression"].split()
    counted = {
        "add": {**place_values(int(a)), **place_values(int(b))},
        "subtract": place_values(int(b)),
        "multiply": place_values(int(a)),
    }[kind]
    names = [PLACES[language][place] for place in sorted(counted, reverse=True)]
    return ", ".join(names + [words["sum"]] if kind != "subtract" and len(names) > 1 else names)


def check(problem: Problem, chain: list[tuple[str, str]]) -> str:
    """Undo the sum, or the last step of a chain: after 47 + 38 = 85 comes `<<85-38=47>>47`."""
    expression = (
        chain[-1][0]
        if problem.meta["kind"] == "chain"
        else problem.meta["expression"].replace(" ", "")
    )
    result = chain[-1][1]
    sign = next(c for c in expression if c in UNDO)
    left, right = expression.split(sign)
    return f"<<{result}{UNDO[sign]}{right}={left}>>{left}"

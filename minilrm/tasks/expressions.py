"""Expressions over whole numbers: read, valued, written, taken apart into steps (`reach.py` finds
them).

An expression is a tree: a number, or (operator, left, right), or ("-", tree) for a leading minus,
so 4*7+25 is ("+", ("*", 4, 7), 25). The grammar is that of `calculator.py` without decimals, for
which Countdown has no use, and with a minus sign at the start of a sum alone:

    sum     = [ "-" ] product { ("+" | "-") product }
    product = factor { ("*" | "/") factor }
    factor  = number | "(" sum ")"
"""

import re
from collections import Counter
from fractions import Fraction
from itertools import permutations
from typing import NamedTuple

from minilrm.tasks.calculator import MAX_DEPTH, CalculatorError

Tree = int | tuple  # a number, or (operator, left tree, right tree), or ("-", tree)
MAX_LENGTH = 100  # characters of an expression that is read; five numbers of two digits need 18
MAX_REORDERED = 4  # longer series of steps (five numbers make four) stay in the order written

# [0-9] and not \d, which also matches "٣" and "３". No number starts with an idle zero: "07" is "0"
# and then a stray "7".
TOKEN = re.compile(r" *(0|[1-9][0-9]*|[-+*/()])")


class Step(NamedTuple):
    """One sum, `a op b = result`; the result is as somebody wrote it, and may be wrong."""

    a: int
    op: str
    b: int
    result: int

    def __str__(self) -> str:
        return f"{self.a}{self.op}{self.b}={self.result}"


# -- reading ---------------------------------------------------------------------------------------


def parse(text: str) -> Tree | None:
    """The tree of an expression; None if the text is none. Total, and at once: length and depth are
    bounded. White space around it is ignored.

    >>> parse("4*7 + 25"), parse("25-(7-4)\\n"), parse("-4*7+30")
    (('+', ('*', 4, 7), 25), ('-', 25, ('-', 7, 4)), ('+', ('-', ('*', 4, 7)), 30))
    >>> [parse(t) for t in ("", "2**3", "7//2", "2.5", "1 2", "3*-4", "4*7=28", "٣", "(1", "07")]
    [None, None, None, None, None, None, None, None, None, None]
    """
    text = text.strip()
    if len(text) > MAX_LENGTH:
        return None
    tokens, at = [], 0
    while match := TOKEN.match(text, at):
        tokens.append(match[1])
        at = match.end()
    if text[at:].strip(" "):
        return None
    try:
        tree, end = read_sum(tokens, 0, 0)
    except CalculatorError:
        return None
    return tree if end == len(tokens) else None


# Each rule takes the tokens and where to start, and returns the tree and where it stopped.


def read_sum(tokens: list[str], at: int, depth: int) -> tuple[Tree, int]:
    negated = tokens[at : at + 1] == ["-"]
    tree, at = read_product(tokens, at + negated, depth)
    if negated:
        tree = ("-", tree)
    while at < len(tokens) and tokens[at] in "+-":
        right, end = read_product(tokens, at + 1, depth)
        tree, at = (tokens[at], tree, right), end
    return tree, at


def read_product(tokens: list[str], at: int, depth: int) -> tuple[Tree, int]:
    tree, at = read_factor(tokens, at, depth)
    while at < len(tokens) and tokens[at] in "*/":
        right, end = read_factor(tokens, at + 1, depth)
        tree, at = (tokens[at], tree, right), end
    return tree, at


def read_factor(tokens: list[str], at: int, depth: int) -> tuple[Tree, int]:
    if at == len(tokens) or depth > MAX_DEPTH:
        raise CalculatorError(
            "a number is missing at the end" if at == len(tokens) else "nested too deep"
        )
    if tokens[at] == "(":
        tree, at = read_sum(tokens, at + 1, depth + 1)
        if at == len(tokens) or tokens[at] != ")":
            raise CalculatorError("a bracket is not closed")
        return tree, at + 1
    if not tokens[at].isdigit():
        raise CalculatorError(f"a number is missing before {tokens[at]!r}")
    return int(tokens[at]), at + 1


def value(tree: Tree) -> Fraction | None:
    """The exact value; None where a division by zero leaves none: `value(parse("8/(3-8/3)"))` is
    24."""
    if isinstance(tree, int):
        return Fraction(tree)
    if is_negated(tree):
        inner = value(tree[1])
        return None if inner is None else -inner
    op, a, b = tree[0], value(tree[1]), value(tree[2])
    if a is None or b is None or (op == "/" and b == 0):
        return None
    return a + b if op == "+" else a - b if op == "-" else a * b if op == "*" else a / b


def leaves(tree: Tree) -> list[int]:
    """The numbers of an expression, from left to right: `leaves(parse("4*7+25"))` is
    `[4, 7, 25]`."""
    return [tree] if isinstance(tree, int) else [n for part in tree[1:] for n in leaves(part)]


def is_negated(tree: Tree) -> bool:
    """Whether a minus sign stands before the whole: `is_negated(parse("-(7-25)"))` is True."""
    return not isinstance(tree, int) and len(tree) == 2


# -- writing ---------------------------------------------------------------------------------------


def rank(tree: Tree) -> int:
    """How tightly it holds together: a sum or a leading minus 1, a product 2, a number 3."""
    return 3 if isinstance(tree, int) else 1 if tree[0] in "+-" else 2


def write(tree: Tree) -> str:
    """The expression with no bracket that its value can do without: 2*(6/3) is `2*6/3`.

    >>> write(("*", ("-", 25, 7), 4)), write(("-", 25, ("-", 7, 4))), write(("+", 4, ("-", 25, 7)))
    ('(25-7)*4', '25-(7-4)', '4+25-7')
    >>> write(("+", ("-", 34), 80)), write(("+", 80, ("-", 34))), write(("-", ("-", 7, 25)))
    ('-34+80', '80+(-34)', '-(7-25)')
    """
    if isinstance(tree, int):
        return str(tree)
    if is_negated(tree):
        return "-" + (write(tree[1]) if rank(tree[1]) > 1 else f"({write(tree[1])})")
    op, left, right = tree
    a, b = write(left), write(right)
    if rank(left) < rank(tree):
        a = f"({a})"
    # What may stand bare on the right: a-(b+c), a/(b*c), but a+b+c, a*b*c. Never a leading minus.
    if rank(right) < rank(tree) + (op in "-/") or b.startswith("-"):
        b = f"({b})"
    return a + op + b


def normal(tree: Tree) -> str:
    """One text for all expressions that differ in order and brackets alone: what votes together.

    >>> [normal(parse(t)) for t in ("25+7*4", "(4*7)+25", "4*(7+25)", "25-(7-4)", "2*(6/3)")]
    ['25+4*7', '25+4*7', '(25+7)*4', '25+4-7', '2*6/3']
    >>> [normal(parse(t)) for t in ("-7+25+4", "-(7-25)+4", "(-7)*4", "-7-4")]
    ['25+4-7', '25+4-7', '(-7)*4', '-4-7']
    """
    if isinstance(tree, int):
        return str(tree)
    ops = "+-" if tree[0] in "+-" else "*/"
    parts = sorted(
        (inverse, normal(part) if ops == "+-" or rank(part) > 1 else f"({normal(part)})")
        for inverse, part in flat(tree, ops)
    )
    signed = "".join(ops[inverse] + part for inverse, part in parts)
    return signed.removeprefix(ops[0])  # where all terms are negative, the first keeps its sign


def flat(tree: Tree, ops: str, inverse: bool = False) -> list[tuple[bool, Tree]]:
    """The terms of a sum (ops "+-") or the factors of a product ("*/"); `inverse`: taken away, or
    divided by."""
    if isinstance(tree, int) or tree[0] not in ops:
        return [(inverse, tree)]
    if is_negated(tree):
        return flat(tree[1], ops, not inverse)
    return flat(tree[1], ops, inverse) + flat(tree[2], ops, inverse != (tree[0] == ops[1]))


# -- steps -----------------------------------------------------------------------------------------


def steps(tree: Tree) -> list[Step]:
    """The sums that an expression is worked out by. All on the way must be whole, and no minus may
    lead.

    >>> [str(step) for step in steps(("+", ("*", 4, 7), 25))]
    ['4*7=28', '28+25=53']
    """
    if isinstance(tree, int):
        return []
    op, left, right = tree
    before, after = steps(left), steps(right)
    a = before[-1].result if before else left
    b = after[-1].result if after else right
    return [
        *before,
        *after,
        Step(
            a, op, b, a + b if op == "+" else a - b if op == "-" else a * b if op == "*" else a // b
        ),
    ]


def is_true(step: Step) -> bool:
    """Whether the sum is right: `is_true(Step(4, "*", 7, 27))` is False. Nothing divides by 0,
    whatever the result."""
    a, op, b, result = step
    if op == "/":
        return b != 0 and a == b * result
    return result == (a + b if op == "+" else a - b if op == "-" else a * b)


def runs(series: list[Step] | tuple[Step, ...], numbers: Counter[int]) -> bool:
    """Whether each step finds its two operands among the numbers and the results not yet used. Sums
    are not checked."""
    pool = numbers.copy()
    for step in series:
        for operand in (step.a, step.b):
            if pool[operand] <= 0:
                return False
            pool[operand] -= 1
        pool[step.result] += 1
    return True


def normal_form(series: list[Step]) -> str:
    """One text for all series that differ in the order of commuting operands or of independent
    steps.

    Steps that cannot be done in the order in which they are written (18 is used before it is made)
    keep that order.

    >>> normal_form(steps(("+", 25, ("*", 4, 7))))
    '7*4=28, 28+25=53'
    >>> normal_form([Step(18, "+", 4, 22), Step(25, "-", 7, 18)])
    '18+4=22, 25-7=18'
    """
    tidy = [
        step._replace(a=max(step.a, step.b), b=min(step.a, step.b)) if step.op in "+*" else step
        for step in series
    ]
    if 1 < len(tidy) <= MAX_REORDERED:
        used = Counter(operand for step in tidy for operand in (step.a, step.b))
        made = Counter(step.result for step in tidy[:-1])  # the last result is what remains
        if made <= used and runs(tidy, used - made):
            tidy = min(list(order) for order in permutations(tidy) if runs(order, used - made))
    return ", ".join(map(str, tidy))

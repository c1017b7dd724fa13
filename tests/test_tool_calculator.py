"""The calculator as a tool: ten thousand sums against Python's fractions, and what it refuses."""

import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilrm.tasks.calculator import format_number
from minilrm.tools import ToolFailed, calculate

repeatable = settings(derandomize=True, deadline=None, max_examples=100)


def expression(rng, depth=3):
    """A random sum as text, and its value by Python's own fractions: decimals, signs, blanks, and
    brackets or none."""
    if depth == 0 or rng.random() < 0.2:
        whole, places = rng.randint(0, 999), rng.choice((0, 0, 0, 1, 2))
        text = f"{whole}.{rng.randrange(10**places):0{places}}" if places else str(whole)
        return text, Fraction(text)
    if rng.random() < 0.1:
        text, value = expression(rng, depth - 1)
        return f"-({text})", -value
    (left, a), (right, b) = expression(rng, depth - 1), expression(rng, depth - 1)
    sign = rng.choice("+-*/" if b else "+-*")
    value = {"+": a + b, "-": a - b, "*": a * b}.get(sign, a / b if b else a)
    blank = rng.choice(("", " "))
    return f"({left}){blank}{sign}{blank}({right})", value


def chain(rng):
    """A sum without brackets, by the rules of precedence: products first, then from the left."""
    terms, text = [Fraction(first := rng.randint(0, 99))], str(first)
    for _ in range(rng.randint(1, 8)):
        sign, number = rng.choice("+-*/"), rng.randint(1, 99)
        text += f"{sign}{number}"
        if sign in "+-":
            terms.append(Fraction(number if sign == "+" else -number))
        else:
            terms[-1] = terms[-1] * number if sign == "*" else terms[-1] / number
    return text, sum(terms)


def test_ten_thousand_sums_are_those_of_fractions():
    rng, long = random.Random(0), 0
    for _ in range(10_000):
        text, value = chain(rng) if rng.random() < 0.3 else expression(rng)
        if len(format_number(value)) > 60:
            long += 1
            continue
        answer = calculate(text)
        assert Fraction(answer) == value and answer == format_number(value), text
    assert long < 100


HOSTILE_SUMS = [
    "", " ", "a", "1+", "+1", "1 2", "1**9", "9**9**9", "2^3", "1//2", "1%2", "(1", "1)", "()",
    "1/0", "1/(2-2)", "1e9", "0x10", "1_000", "1,000", "٣+٤", "３", "−1", "1;2", "1\n2", "1\x00",
    "__import__('os')", "open('x')", "().__class__", "lambda: 1", "[1]", "1 if 1 else 2", "1==1",
    "True", "None", "inf", "nan", "1j", ".", "1.", "1..2", "1.2.3", "$5", "5%", "~1", "!1", "1!",
    "1<2", "1&1", "1|1", "'1'", '"1"', "f(1)", "max(1,2)", "1" * 21, "1" * 201, "(" * 30 + "1",
    "-" * 30 + "1", "(" * 100 + "1" + ")" * 100, "9*" * 99 + "9",
    "*".join(["9" * 20] * 9), "1/" + "/".join(["7"] * 99), "eval(1)", "1+1#", "<tool>", "\\",
]  # fmt: skip


def test_there_are_sixty_hostile_sums():
    assert len(set(HOSTILE_SUMS)) >= 60


@pytest.mark.parametrize("text", HOSTILE_SUMS)
def test_hostile_sums_are_refused(text):
    with pytest.raises(ToolFailed):
        calculate(text)


@repeatable
@given(st.one_of(st.text(), st.text(alphabet="0123456789+-*/(). ", max_size=60)))
def test_the_calculator_is_total(text):
    try:
        assert len(calculate(text)) <= 60
    except ToolFailed as failure:
        assert str(failure)

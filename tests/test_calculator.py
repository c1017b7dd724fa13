"""The calculator: exact on every sum of its grammar, a CalculatorError on everything else, always
at once."""

import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilrm.tasks.calculator import (
    MAX_DEPTH,
    MAX_DIGITS,
    MAX_LENGTH,
    CalculatorError,
    evaluate,
    format_number,
    number,
)

repeatable = settings(derandomize=True, deadline=None, max_examples=300)

# A sum as a tree: a number (as text), ("-", tree), or (operator, tree, tree).
numbers = st.one_of(
    st.integers(0, 999).map(str), st.sampled_from(["0.5", ".25", "3.50", "007", "0"])
)
trees = st.recursive(
    numbers,
    lambda t: st.one_of(st.tuples(st.just("-"), t), st.tuples(st.sampled_from("+-*/"), t, t)),
    max_leaves=8,
)


def value(tree) -> Fraction:
    if isinstance(tree, str):
        return Fraction(tree)
    if len(tree) == 2:
        return -value(tree[1])
    a, b = value(tree[1]), value(tree[2])
    return {"+": a.__add__, "-": a.__sub__, "*": a.__mul__, "/": a.__truediv__}[tree[0]](b)


def written(tree) -> str:
    """With every bracket, so that the text says nothing about precedence."""
    if isinstance(tree, str):
        return tree
    return (
        f"(-{written(tree[1])})"
        if len(tree) == 2
        else f"({written(tree[1])} {tree[0]}{written(tree[2])})"
    )


@repeatable
@given(trees)
def test_value_of_a_tree(tree):
    text = written(tree)
    try:
        expected = value(tree)
    except ZeroDivisionError:
        with pytest.raises(CalculatorError):
            evaluate(text)
        return
    if len(text) <= MAX_LENGTH:
        assert evaluate(text) == expected


@repeatable
@given(
    st.lists(st.tuples(st.sampled_from("+-*/"), st.integers(1, 99)), max_size=6), st.integers(0, 99)
)
def test_precedence(rest, first):
    terms = [Fraction(first)]  # `*` and `/` change the last term, `+` and `-` begin a new one
    for op, n in rest:
        if op in "+-":
            terms.append(Fraction(n if op == "+" else -n))
        else:
            terms[-1] = terms[-1] * n if op == "*" else terms[-1] / n
    assert evaluate(str(first) + "".join(f"{op}{n}" for op, n in rest)) == sum(terms)


@repeatable
@given(st.one_of(st.text(max_size=250), st.text(alphabet="0123456789.+-*/() ", max_size=40)))
def test_total(text):
    try:
        assert isinstance(evaluate(text), Fraction)
    except CalculatorError:
        pass
    assert number(text) is None or isinstance(number(text), Fraction)


def test_examples():
    for text, expected in {
        "1": 1,
        " 12 ": 12,
        "-3": -3,
        "--3": 3,
        "2*-3": -6,
        "2--3": 5,
        "1-2-3": -4,
        "12/3/2": 2,
        "2+3*4": 14,
        "(2+3)*4": 20,
        ".5*4": 2,
        "3.5": Fraction(7, 2),
        "1/3*3": 1,
        "0.1+0.2": Fraction(3, 10),
        "-(1+2)": -3,
    }.items():
        assert evaluate(text) == expected, text


ATTACKS = [
    "",
    " ",
    "2**3",
    "9**9**9**9",
    "7//2",
    "1,000",
    "1.2.3",
    "1..2",
    "1.",
    "1. 5.",
    ".",
    "2 3",
    "1 .5",
    "2 (3)",
    "(2)(3)",
    "2(3)",
    "(",
    ")",
    "()",
    "(1",
    "1)",
    ")1(",
    "+1",
    "+",
    "-",
    "*",
    "1+",
    "1*/2",
    "1/0",
    "1/(2-2)",
    "0/0",
    "1/-0",
    "1e3",
    "1E3",
    "1_000",
    "0x10",
    "1j",
    "inf",
    "nan",
    "True",
    "x",
    "__import__('os').system('true')",
    "().__class__",
    "1 if 1 else 2",
    "lambda: 1",
    "1;2",
    "1\n+2",
    "1\t+2",
    "1\u00a0+2",
    "\u00a01",
    "٣",
    "1٣",
    "३+३",
    "３",
    "²",
    "½",
    "1−2",
    "2×3",
    "6÷2",
    "2^3",
    "5%",
    "$5",
    "5!",
    "~1",
    "1<<2",
    "1=1",
    "1==1",
    "[1]",
    "{1}",
    "'1'",
    "1#2",
    "1&2",
    "\x00",
    "1\x00",
    "\ud800",
    "٣.٥",
    "3.٥",
    "٣.5",
    ".٥",
]


@pytest.mark.parametrize("text", ATTACKS, ids=ascii)
def test_attacks_are_refused(text):
    with pytest.raises(CalculatorError):
        evaluate(text)


def test_bounds():
    assert evaluate("9" * MAX_DIGITS) == int("9" * MAX_DIGITS)
    assert evaluate("." + "9" * MAX_DIGITS)
    assert evaluate("(" * MAX_DEPTH + "1" + ")" * MAX_DEPTH) == 1
    assert evaluate("1" + " " * (MAX_LENGTH - 1)) == 1
    digits, deep = "9" * (MAX_DIGITS + 1), MAX_DEPTH + 1
    for text in (
        digits,
        "." + digits,
        "9" * MAX_DIGITS + ".5",
        "(" * deep + "1" + ")" * deep,
        "-" * deep + "1",
        "1" + " " * MAX_LENGTH,
    ):
        with pytest.raises(CalculatorError):
            evaluate(text)


@pytest.mark.parametrize("piece", ["1", "(", "-", " ", "1+", "9**", "1,000"])
def test_a_million_characters_cost_nothing(piece):
    text = piece * (10**6 // len(piece))
    start = time.perf_counter()
    with pytest.raises(CalculatorError):
        evaluate(text)
    assert number(text) is None
    assert time.perf_counter() - start < 1


READ = {
    "12": "12",
    "0": "0",
    "007": "7",
    "-3": "-3",
    "-0": "0",
    "3.50": "7/2",
    ".5": "1/2",
    "-.5": "-1/2",
    "12.": "12",
    "1,234": "1234",
    "2,125": "2125",
    "1,234,567.5": "2469135/2",
    "-1,000": "-1000",
    "$18": "18",
    "-$18": "-18",
    "$-18": "-18",
    "$1,234.50": "2469/2",
    "50%": "50",
    "12.5%": "25/2",
    " 7 ": "7",
    "7\r": "7",
    "\u00a07": "7",
}
UNREAD = [
    "",
    " ",
    ".",
    "-",
    "$",
    "%",
    "$.",
    ",",
    "+3",
    "--3",
    "-$-3",
    "1,23",
    "12,34",
    "1234,567",
    "1,2345",
    ",123",
    "1,5",
    "1,,000",
    "1.2.3",
    "1 2",
    "1 000",
    "- 3",
    "$ 5",
    "5 %",
    "5$",
    "18 dollars",
    "x",
    "3+4",
    "7/3",
    "1e3",
    "1_000",
    "0x1F",
    "inf",
    "nan",
    "NaN",
    "٣",
    "３",
    "²",
    "½",
    "−3",
    "€5",
    "(3)",
    "3,000,",
    "5%%",
    "=5",
    "**5**",
    "#5",
    "\x00",
    "3.٥",
    "9" * (MAX_DIGITS + 1),
]


def test_number_reads():
    assert {text: str(number(text)) for text in READ} == READ


@pytest.mark.parametrize("text", UNREAD, ids=ascii)
def test_number_refuses(text):
    assert number(text) is None


@repeatable
@given(st.integers(-(10**9), 10**9), st.integers(0, 6))
def test_decimals_survive_writing_and_reading(units, places):
    exact = Fraction(units, 10**places)
    assert number(format_number(exact)) == exact
    assert "e" not in format_number(exact) and not format_number(exact).endswith(".")


def test_format_number():
    assert [
        format_number(x)
        for x in (
            12,
            Fraction(24, 2),
            Fraction(7, 2),
            Fraction(7, 3),
            Fraction(-1, 8),
            0,
            1000,
            Fraction(-7, 3),
            Fraction(1, 100),
        )
    ] == ["12", "12", "3.5", "7/3", "-0.125", "0", "1000", "-7/3", "0.01"]

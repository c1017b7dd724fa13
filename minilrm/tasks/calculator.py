"""Exact arithmetic on text that nobody vouches for.

A model's answer is text, and text is never run as code: `eval("9**9**9**9")` would hang the
training run, and `eval("__import__('os')...")` would do worse. So sums are read by a grammar small
enough to see through,

    sum     = product  { ("+" | "-") product }
    product = factor   { ("*" | "/") factor }
    factor  = "-" factor | "(" sum ")" | number
    number  = digits [ "." digits ] | "." digits

with one function a rule ("recursive descent"), and computed in fractions, so that 1/3*3 is 1 and
not 0.999... Length, digits and depth are bounded: whatever the input, the answer comes at once.
"""

import re
from fractions import Fraction

MAX_LENGTH = 200
MAX_DIGITS = 20  # in one number
MAX_DEPTH = 20  # brackets and minus signs inside each other

# [0-9] and not \d: \d also matches the digits of every other script ("٣", "३", "３"), and int()
# would read them.
TOKEN = re.compile(r" *([0-9]+\.[0-9]+|\.[0-9]+|[0-9]+|[-+*/()])")
SPACES = re.compile(r" *")

# A written answer: sign and dollar, then digits (in groups of three, or ungrouped), decimals, per
# cent, and the full stop of a sentence, which stands behind a digit or the per-cent sign.
ANSWER = re.compile(
    r"(?P<sign>-?)\$?(?P<sign2>-?)(?P<whole>[0-9]{1,3}(?:,[0-9]{3})+|[0-9]*)"
    r"(?:\.(?P<decimals>[0-9]*))?%?(?:(?<=[0-9%])\.)?"
)


class CalculatorError(ArithmeticError):
    """The text is no sum in the small grammar, or has no value."""


def evaluate(text: str) -> Fraction:
    """The exact value of a sum.

    >>> evaluate("12 + 3 * (4 - 2)")
    Fraction(18, 1)
    >>> evaluate("-.5 / 3")
    Fraction(-1, 6)
    >>> evaluate("2**3")  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    minilrm.tasks.calculator.CalculatorError: a number is missing before '*'
    """
    tokens = tokenize(text)
    value, end = read_sum(tokens, 0, 0)
    if end < len(tokens):
        raise CalculatorError(f"{tokens[end]!r} should not be here")
    return value


def tokenize(text: str) -> list[str]:
    """Cut a sum into numbers and signs: `tokenize("3.5*(2)")` is `['3.5', '*', '(', '2', ')']`."""
    if len(text) > MAX_LENGTH:
        raise CalculatorError(f"longer than {MAX_LENGTH} characters")
    tokens, at = [], 0
    while match := TOKEN.match(text, at):
        tokens.append(match[1])
        at = match.end()
        if len(match[1]) > MAX_DIGITS + ("." in match[1]):
            raise CalculatorError(f"a number of more than {MAX_DIGITS} digits")
    if not SPACES.fullmatch(text, at):
        raise CalculatorError(f"{text[at:].strip()[:1]!r} is not understood")
    return tokens


# Each rule takes the tokens and where to start, and returns the value and where it stopped.


def read_sum(tokens: list[str], at: int, depth: int) -> tuple[Fraction, int]:
    value, at = read_product(tokens, at, depth)
    while at < len(tokens) and tokens[at] in "+-":
        right, end = read_product(tokens, at + 1, depth)
        value = value + right if tokens[at] == "+" else value - right
        at = end
    return value, at


def read_product(tokens: list[str], at: int, depth: int) -> tuple[Fraction, int]:
    value, at = read_factor(tokens, at, depth)
    while at < len(tokens) and tokens[at] in "*/":
        right, end = read_factor(tokens, at + 1, depth)
        if tokens[at] == "/" and right == 0:
            raise CalculatorError("division by zero")
        value = value * right if tokens[at] == "*" else value / right
        at = end
    return value, at


def read_factor(tokens: list[str], at: int, depth: int) -> tuple[Fraction, int]:
    if depth > MAX_DEPTH:
        raise CalculatorError(f"nested deeper than {MAX_DEPTH}")
    if at == len(tokens):
        raise CalculatorError("a number is missing at the end")
    token = tokens[at]
    if token == "-":
        value, at = read_factor(tokens, at + 1, depth + 1)
        return -value, at
    if token == "(":
        value, at = read_sum(tokens, at + 1, depth + 1)
        if at == len(tokens) or tokens[at] != ")":
            raise CalculatorError("a bracket is not closed")
        return value, at + 1
    if token in "+*/)":
        raise CalculatorError(f"a number is missing before {token!r}")
    return Fraction(token), at + 1


def number(text: str) -> Fraction | None:
    """Read a written answer strictly; None if it is not exactly one number.

    Read: a minus sign, a dollar sign, commas between groups of three, decimals, a per-cent sign,
    and one full stop at the end. The per-cent sign is a unit and does not divide: "50%" is 50, as
    in GSM8K, where "what percentage?" is answered "#### 50". Not read: a plus sign, other units,
    words, fractions or sums, exponents ("1e3"), commas elsewhere ("1,5", "12,34"), digits of other
    scripts. Spaces around are ignored. `answers.py` has the table, and reads what larger models
    write beyond this.

    >>> [str(number(t)) for t in ("1,234", "$18", "-3", "3.50.", "12.", "50%.", " .5 ", "-$7")]
    ['1234', '18', '-3', '7/2', '12', '50', '1/2', '-7']
    >>> [number(t) for t in ("", "12 eggs", "3+4", "1,23", "1e3", "--3", "$", "1.2.3", "3..", "٣")]
    [None, None, None, None, None, None, None, None, None, None]
    """
    if len(text) > MAX_LENGTH:
        return None
    match = ANSWER.fullmatch(text.strip())
    if match is None or (match["sign"] and match["sign2"]):
        return None
    whole, decimals = match["whole"].replace(",", ""), match["decimals"] or ""
    if not whole + decimals or len(whole + decimals) > MAX_DIGITS:
        return None
    value = Fraction(f"{whole or '0'}.{decimals or '0'}")
    return -value if match["sign"] or match["sign2"] else value


def format_number(value: Fraction | int) -> str:
    """Write a number as people do: whole, with finite decimals, or else as a fraction.

    >>> [format_number(Fraction(n, d)) for n, d in ((24, 2), (7, 2), (-1, 8), (7, 3))]
    ['12', '3.5', '-0.125', '7/3']
    """
    value = Fraction(value)
    places, rest = decimal_places(value.denominator)
    if rest > 1:
        return f"{value.numerator}/{value.denominator}"
    sign, digits = (
        "-" if value < 0 else "",
        str(abs(value.numerator) * 10**places // value.denominator),
    )
    digits = digits.rjust(places + 1, "0")
    return sign + (f"{digits[:-places]}.{digits[-places:]}" if places else digits)


def decimal_places(denominator: int) -> tuple[int, int]:
    """How many decimals a fraction needs, and what is left of its denominator without 2s and 5s (1:
    they suffice).

    >>> decimal_places(8), decimal_places(6)
    ((3, 1), (1, 3))
    """
    counts = {2: 0, 5: 0}
    for prime in counts:
        while denominator % prime == 0:
            denominator //= prime
            counts[prime] += 1
    return max(counts.values()), denominator

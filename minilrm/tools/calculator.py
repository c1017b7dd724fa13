"""The calculator: exact arithmetic on text, in fractions.

It is the grammar of `tasks/calculator.py` (sums, differences, products, quotients, brackets,
decimals), which bounds length, digits and depth; so every sum has its value at once, and nothing is
evaluated as code.
"""

from minilrm.tasks.calculator import CalculatorError, evaluate, format_number
from minilrm.tools.tool import ToolFailed

LONGEST_NUMBER = 60  # characters of a result; a product of many long numbers has more


def calculate(text: str) -> str:
    """The value of a sum, exactly: whole, with finite decimals, or else as a fraction.

    >>> calculate("12*7"), calculate("1/8"), calculate(" (1 - 3) / 6 ")
    ('84', '0.125', '-1/3')
    >>> calculate("2**100")  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    minilrm.tools.tool.ToolFailed: a number is missing before '*'
    """
    try:
        value = format_number(evaluate(text.strip()))
    except CalculatorError as error:
        raise ToolFailed(str(error)) from error
    if len(value) > LONGEST_NUMBER:
        raise ToolFailed(f"the result has more than {LONGEST_NUMBER} characters")
    return value

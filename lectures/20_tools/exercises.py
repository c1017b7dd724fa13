"""Lecture 20, tools: the exercises. Write the functions below, then check them:

    python -m course.grade lectures/20_tools

A calculator that nothing in a text can harm, the rule of which calls count, the mask of what a tool
said, and the count of facts that a model made up. No model is needed.
"""

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction

import torch
from torch import Tensor

MAX_LENGTH, MAX_DIGITS, MAX_DEPTH = 200, 20, 20
OPEN = re.compile(r"<tool:([a-z_]+)>")  # group 1: the tool's name
CLOSE = "</tool>"


def safe_eval(text: str) -> Fraction:
    """The exact value of a sum that a model wrote: a text -> a Fraction.

        sum     = product  { ("+" | "-") product }
        product = factor   { ("*" | "/") factor }
        factor  = "-" factor | "(" sum ")" | number
        number  = one or more of the digits 0 to 9

    Spaces may stand anywhere but inside a number. Operations of one rank go from left to right:
    "8-3-2" is 3, and "8/4/2" is 1. All is exact: "1/3*3" is 1.

    Everything else is a ValueError, and comes at once: other characters ("2**3", "7//2", "1e9",
    "1_000", "0.5", "x", "+3", digits of other scripts), brackets that do not match, a missing
    number, an empty text, a division by zero (not a ZeroDivisionError); more than MAX_LENGTH
    characters; a number of more than MAX_DIGITS digits; brackets and minus signs inside each other
    more than MAX_DEPTH deep (MAX_DEPTH of them are allowed; never a RecursionError).

    The text is never run as code.
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def parse_tool_calls(pieces: Sequence[tuple[str, bool]]) -> list[tuple[str, str]]:
    """The calls in a completion that count: pieces of text, each with whether the model sampled it
    -> [(tool, argument), ...] in order.

    The pieces are in order, and what was sampled may be cut anywhere, also within a tag: join
    neighbours that were both sampled. A call is `<tool:NAME>ARGUMENT</tool>`, with NAME as OPEN has
    it. It counts only if all of it, from the "<" of its opening tag to the ">" of its closing one,
    was sampled with nothing inserted in between: what a tool said can neither be a call, nor begin
    one, nor complete one.

    A closing tag ends the call that was opened last and is not yet ended: in
    "<tool:code><tool:calculator>1+1</tool>" the call is ("calculator", "1+1"), and the tag in front
    of it is only text. A closing tag without an opening one is text, and so is an opening one
    without an end. The argument is kept as it is, spaces and line ends too.

    [("<tool:calc", True), ("ulator>6*7</tool>", True), ("<result>42</result>", False), (" ok",
    True)] gives [("calculator", "6*7")].
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def tool_mask(ids: Tensor, opening: int, closing: int, pad: int) -> Tensor:
    """Which tokens of worked solutions a model should learn to write: ids[B, T] -> mask[B, T], of
    whole numbers, 1 where the loss counts and 0 elsewhere.

    `opening` and `closing` are the ids of <result> and </result>. A tool wrote what stands between
    them, and the tags as well: 0. Padding (`pad`), which stands behind a row's text: 0. All else,
    the calls themselves included: 1.

    A result ends with the first closing tag behind its opening one; an opening tag inside it
    changes nothing. A result that does not end (the row was cut off) goes on to the end of the row.
    A closing tag that closes nothing was written by the model: 1.

    With opening 8, closing 9 and pad 0, the row [5, 8, 3, 9, 6, 0] has the mask
    [1, 0, 0, 0, 1, 0].
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def made_up(answer: str, question: str, table: Sequence[Mapping[str, object]]) -> bool | None:
    """Whether a model made a fact up: its answer, the question, and the rows of the table that it
    could have asked -> True or False, or None if the answer holds no number.

    The fact is the last number of the answer. It is made up if no number of the question and no
    value of the table equals it. So a wrong answer need not be made up: it may be the price of
    another thing.

    Compare numbers, not texts: 417 is not in a question that says 4170, and "1,250" is 1250. A
    number in a text is a run of the digits 0 to 9, in which commas may stand between groups of
    three; no question here has decimals or numbers below 0. Values of the table that are whole
    numbers count, those that are texts do not: the shop "Route 66" sells nothing for 66.

    made_up("It costs 417.", "What does a lamp cost?", [{"name": "lamp", "price": 417}]) is False.
    """

    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION

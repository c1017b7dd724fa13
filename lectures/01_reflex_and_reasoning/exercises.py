"""Lecture 1, reflex and reasoning: the exercises. Write the functions below, then check them:

    python -m course.grade lectures/01_reflex_and_reasoning

The four of them are what a task is made of: problems, a split, a grader, and the price of an
answer.
"""

import hashlib
import random
import re
from fractions import Fraction


def make_problem(seed: int, hardest: int = 5) -> dict:
    """A sum of one-digit numbers, made from `seed` alone.

    Its difficulty is its number of plus and minus signs. Each of 1, 2, ..., `hardest` is equally
    likely, whatever seeds are asked for: 0, 1, 2, ... or 0, 5, 10, ... Each sign is plus or minus,
    each number 1 to 9, all equally likely and drawn independently. The same seed gives the same
    problem, whatever was drawn before; so draw from a generator of your own, and leave the global
    one as it is.

    Returns a dict with the question, the answer as a text, the difficulty, and the key: the bare
    sum without blanks. Worked example: the sum 7 + 2 - 5 has two signs, so

        {"question": "What is 7 + 2 - 5?", "answer": "4", "difficulty": 2, "key": "7+2-5"}

    An answer may be negative: "-3", with no blank behind the sign.
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def split_by_key(problems: list[dict]) -> dict[str, list[dict]]:
    """Split problems into train, validation and test by their keys: about 80, 10 and 10 of a
    hundred.

    The first four bytes of the SHA-256 of the key (in UTF-8), read as one whole number, most
    significant byte first; the last decimal digit of that number decides: 0 to 7 train, 8
    validation, 9 test. So two problems with one key always fall on the same side, and a problem's
    side depends on nothing but its key.

    Returns {"train": [...], "validation": [...], "test": [...]}: always these three, each in the
    order of `problems`, all problems in them, those with the same key as often as they came.

    The keys "buy:5", "buy:6" and "buy:10" fall into train, validation and test.
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def check_answer(gold: str, completion: str) -> bool:
    """True if the completion gives the right answer, False for everything else in the world.
    Nothing raises.

    1. The completion holds `####` exactly once. (`"########"` holds it twice.)
    2. What stands between it and the end of its line (the next "\\n"), blanks around it aside, is
       one number of at most 30 characters and nothing else: a minus sign, or none; then a dollar
       sign, or none; digits 0-9, either bare ("1250") or with commas between groups of three
       ("1,250"); a point and further digits ("3.50"), a point alone ("12.": the end of a sentence),
       or neither; a per-cent sign, or none.
    3. That number equals `gold`, written by the same rules. Equal means exactly equal: no rounding.
       Dollar and per cent are units and change nothing: "$50", "50%", "50.0" and "50" are equal.

    Text of strangers is never run as code: "#### 48+24" is no number. What stands on later lines
    does not matter.

    `check_answer("72", "48+24 makes\\n#### 72.0\\nDone.")` is True, `check_answer("72", "It is
    72")` is False.
    """

    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def cost(
    prompt_tokens: int,
    answer_tokens: int,
    samples: int,
    parameters: int,
    price_in: float,
    price_out: float,
) -> dict:
    """What it costs to answer one question `samples` times, each answer of `answer_tokens` tokens.

    The prompt is read once for all samples. The result has

        "tokens"    all that are read or written
        "flops"     2 x parameters for each of them: one multiplication and one addition per
                    parameter (attention left out)
        "money"     price_in for each *million* tokens read, price_out for each million written

    `cost(50, 70, 1, 2_558_784, 1.0, 4.0)` gives 120 tokens, 614_108_160 flops and 0.00033 of money.
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION

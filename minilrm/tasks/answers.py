r"""GSM8K's convention for answers, and how to read it: sums in `<<...>>`, the answer after `####`.

    Natalia sold 48/2 = <<48/2=24>>24 clips in May.
    Natalia sold 48+24 = <<48+24=72>>72 clips altogether.
    #### 72

Everything here is total: any string gets a verdict, at once. The patterns hold no nested repetition
and their classes exclude `<`, so that no character is scanned twice and 100 kB of "<<" cost no more
than 100 kB of prose.
"""

import re

from minilrm.tasks.calculator import CalculatorError, evaluate, format_number, number
from minilrm.tasks.problem import Grade

MARK = "####"
EQUATION = re.compile(r"<<([^<>=\n]*)=([^<>\n]*)>>")


def extract(text: str) -> list[str]:
    r"""All answers of a text: what stands behind each `####` on its line.

    >>> extract("<<3*4=12>>12 eggs\n#### 12 \nOr rather #### 1,200")
    ['12', '1,200']
    """
    return [piece.split("\n", 1)[0].strip() for piece in text.split(MARK)[1:]]


def grade_final(answer_gold: str, completion: str) -> Grade:
    r"""Judge by the final answer, compared as a number: 72, 72.0 and $72 are equal.

    Exactly one `####` counts. Who writes two has not decided, and would otherwise be paid for
    guessing:

    >>> grade_final("72", "\n<<48+24=72>>72 clips\n#### 72").reason
    'right'
    >>> grade_final("72", " #### 71\n#### 72")
    Grade(correct=False, formatted=False, answer=None, reason='two answers')
    >>> grade_final("72", " #### 72\nThat was easy.")
    Grade(correct=True, formatted=False, answer='72', reason='text after the answer')
    """
    found = extract(completion)
    if len(found) != 1:
        return Grade(False, False, None, "two answers" if found else "no answer")
    value = number(found[0])
    if value is None:
        return Grade(False, False, None, "unreadable answer")
    correct = value == number(answer_gold)
    formatted = not after_answer(completion).strip()
    reason = "wrong answer" if not correct else "right" if formatted else "text after the answer"
    return Grade(correct, formatted, found[0], reason)


def after_answer(completion: str) -> str:
    r"""What stands on the lines below the first answer: `after_answer("#### 7\nBye")` is
    `"Bye"`."""
    return completion.partition(MARK)[2].partition("\n")[2]


def vote_key(answer: str | None) -> str | None:
    """One spelling for each number, so that equal answers vote together; None (no vote) if it is
    none.

    >>> vote_key("$1,250.0"), vote_key("1250"), vote_key("many"), vote_key(None)
    ('1250', '1250', None, None)
    """
    value = None if answer is None else number(answer)
    return None if value is None else format_number(value)


def equations(text: str) -> list[tuple[str, str]]:
    """The calculator annotations `<<expression=result>>` of a text, well-formed or not, in order.

    >>> equations("It is 3*4=<<3*4=12>>12, then <<12+=15>>15.")
    [('3*4', '12'), ('12+', '15')]
    """
    return EQUATION.findall(text)


def check_equation(expression: str, result: str) -> bool | None:
    """Whether a sum has the result claimed; None if it is not well-formed (no sum, no value, no
    number).

    Equal means exactly equal: nothing is rounded. GSM8K needs no rounding (its annotations are
    exact, `<<12/60=0.2>>`), and a step that is off by a little is off.

    >>> check_equation("12/60", "0.2"), check_equation("10/3", "3.33"), check_equation("2**3", "8")
    (True, False, None)
    """
    claimed = number(result)
    if claimed is None:
        return None
    try:
        return evaluate(expression) == claimed
    except CalculatorError:
        return None


def thinks(text: str) -> bool:
    r"""Whether at least one well-formed sum, right or wrong, stands before the answer.

    >>> thinks("\n<<48+24=72>>72\n#### 72"), thinks(" #### 72"), thinks(" #### 72 <<48+24=72>>")
    (True, False, False)
    """
    working = text.partition(MARK)[0]
    return any(check_equation(*match.groups()) is not None for match in EQUATION.finditer(working))

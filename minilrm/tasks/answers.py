r"""Reading a final answer: GSM8K's convention, sums in `<<...>>` and the answer after `####`.

    Natalia sold 48/2 = <<48/2=24>>24 clips in May.
    Natalia sold 48+24 = <<48+24=72>>72 clips altogether.
    #### 72

Some tasks want the answer between `<answer>` and `</answer>` instead (`read_tags`).

**What counts as a number.** Models write one in many ways. A task chooses one of two readings:

- strict: `arithmetic`, `gsm8k-mini`, `multiplication`. They train our own models, whose form is
  part of what is learnt. The function is `calculator.number`.
- lenient: `gsm8k`, which is any file of your own and any model, however large. The function is
  `lenient_number`. To ask a foreign model the problems of `gsm8k-mini` in this reading, name their
  file: `--task gsm8k --data data/gsm8k-mini/test.jsonl --split all`.

What each of them reads (a dash: nothing, so the answer is wrong):

    written               strict      lenient
    72                    72          72
    1,234.50              1234.5      1234.5
    -$7                   -7          -7
    50%                   50          50
    12.                   12          12
    3.50.                 3.5         3.5
    $8.50.                8.5         8.5
    50%.                  50          50
    72 %                  -           72
    −7                    -           -7
    €5                    -           5
    5 €                   -           5
    42 km                 -           42
    42 km/h.              -           42
    18 dollars            -           18
    **73**                -           73
    **73.**               -           73
    $73$                  -           73
    \(73\)                -           73
    \boxed{73}            -           73
    $\boxed{73}$.         -           73
    \boxed{\$1{,}234}     -           1234
    \boxed{42\text{ km}}  -           42
    \boxed{72\%}          -           72
    1.2.3                 -           -
    3..                   -           -
    5%%                   -           -
    42km                  -           -
    3 thousand            -           -
    3 x                   -           -
    3 or 4                -           -
    **3** or **4**        -           -
    1,5                   -           -
    1e3                   -           -
    7/3                   -           -
    3+4                   -           -
    +3                    -           -
    ٣                     -           -

The minus of the tenth row is U+2212. A unit is one word, after a space; a word that changes the
number (thousand, half, or) is no unit. Without any `####`, the lenient reading takes the answer in
the one `\boxed{}` of the text; such an answer is right, but not in the form asked for.

Everything here is total: any string gets a verdict, at once. No pattern holds a nested repetition,
and those that see a whole completion exclude `<` in their classes, so that no character is scanned
twice: 100 kB of "<<" cost no more than 100 kB of prose. The others see `MAX_LENGTH` characters.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any, NamedTuple

from minilrm.tasks.calculator import MAX_LENGTH, CalculatorError, evaluate, format_number, number
from minilrm.tasks.problem import Grade

MARK = "####"
OPEN, CLOSE = "<answer>", "</answer>"
BOX = r"\boxed{"
EQUATION = re.compile(r"<<([^<>=\n]*)=([^<>\n]*)>>")

# -- one number, as larger models write it ---------------------------------------------------------

WRAPPED = re.compile(
    r"(?:\*\*(.+)\*\*|\\boxed\{(.+)\}|\\\((.+)\\\)|\$((?:\\\$|[^$])+)\$)\.?", re.DOTALL
)
DEEPEST = 3  # wrappers inside each other: **$\boxed{73}$**
MEANT = {r"\$": "$", r"\%": "%", "{,}": ",", r"\,": " ", "€": "$", "£": "$", "\N{MINUS SIGN}": "-"}
LATEX_TEXT = re.compile(r"\\(?:text|mathrm)\{([^{}]*)\}")
WITH_UNIT = re.compile(
    r"(-?\$?-?[0-9.,]*[0-9])(?:\s?[%$]|\s+([A-Za-zÀ-ÖØ-öø-ÿ]+)(?:/[A-Za-z]+)?[²³]?)\.?"
)
SHORT_UNITS = frozenset("m g l L s h".split())  # any other letter may be a variable: 3 x
NOT_UNITS = frozenset(
    """
    hundred hundreds thousand thousands million millions billion billions trillion trillions mn mio
    bn tn lakh lakhs crore crores grand dozen dozens score half halves third thirds quarter quarters
    fourth fourths fifth fifths sixth sixths seventh sevenths eighth eighths ninth ninths tenth
    tenths hundredth hundredths thousandth thousandths squared cubed factorial pi plus minus times
    over and or not but no nor mil cien ciento cientos millón millones docena docenas medio medios
    media medias tercio tercios cuarto cuartos quinto quintos décimo décimos más menos por entre ni
    pero
    """.split()
)


def lenient_number(text: str) -> Fraction | None:
    r"""Read a written answer as larger models give it; None if it is not exactly one number.

    >>> [str(lenient_number(t)) for t in (r"$\boxed{1{,}234}$.", "**42 km**", "3 thousand")]
    ['1234', '42', 'None']
    """
    if len(text) > MAX_LENGTH:
        return None
    text = text.strip()
    for _ in range(DEEPEST):
        if wrapped := WRAPPED.fullmatch(text):
            text = next(filter(None, wrapped.groups())).strip()
    text = LATEX_TEXT.sub(r" \1 ", text).strip()
    for written, meant in MEANT.items():
        text = text.replace(written, meant)
    if found := WITH_UNIT.fullmatch(text):
        return number(found[1]) if is_unit(found[2]) else None
    return number(text)


def is_unit(word: str | None) -> bool:
    """Whether a word behind a number leaves the number as it is; None stands for a mere sign.

    >>> is_unit("km"), is_unit("x"), is_unit("Thousand"), is_unit(None)
    (True, False, False, True)
    """
    if word is None:
        return True
    return word in SHORT_UNITS if len(word) == 1 else word.casefold() not in NOT_UNITS


# -- the answer of a completion --------------------------------------------------------------------


def extract(text: str) -> list[str]:
    r"""All answers of a text: what stands behind each `####` on its line.

    >>> extract("<<3*4=12>>12 eggs\n#### 12 \nOr rather #### 1,200")
    ['12', '1,200']
    """
    return [piece.split("\n", 1)[0].strip() for piece in text.split(MARK)[1:]]


def grade_final(
    answer_gold: str, completion: str, read: Callable[[str], Fraction | None] = number
) -> Grade:
    r"""Judge by the final answer, compared as a number: 72, 72.0 and $72 are equal.

    Exactly one `####` counts. A completion with two answers has not decided, and would otherwise be
    paid for guessing. `read` is the reading of the number (see the head of this file).

    >>> grade_final("72", "\n<<48+24=72>>72 clips\n#### 72").reason
    'right'
    >>> grade_final("72", " #### 71\n#### 72")
    Grade(correct=False, formatted=False, answer=None, reason='two answers')
    >>> grade_final("72", " #### 72\nThat was easy.")
    Grade(correct=True, formatted=False, answer='72', reason='text after the answer')
    """
    return grade_one(completion, read, number(answer_gold))


def grade_one(completion: str, read: Callable[[str], Any], right: Any) -> Grade:
    r"""Judge by the one answer behind `####`, whatever it is: `read` brings it into the form of
    `right`, or says None to what is no answer.

    >>> [grade_one(f"\n#### {text}", {"yes": True}.get, True).reason for text in ("yes", "perhaps")]
    ['right', 'unreadable answer']
    """
    found = extract(completion)
    if len(found) != 1:
        return Grade(False, False, None, "two answers" if found else "no answer")
    value = read(found[0])
    if value is None:
        return Grade(False, False, None, "unreadable answer")
    correct = value == right
    formatted = not after_answer(completion).strip()
    reason = "wrong answer" if not correct else "right" if formatted else "text after the answer"
    return Grade(correct, formatted, found[0], reason)


def grade_lenient(answer_gold: str, completion: str) -> Grade:
    r"""Judge a completion of any model: the lenient reading, and `\boxed{}` where there is no
    `####`.

    >>> grade_lenient("42", "So he walks 6*7 = 42 km.\n#### **42 km**").reason
    'right'
    >>> grade_lenient("42", r"So he walks $\boxed{42}$ km.")
    Grade(correct=True, formatted=False, answer='42', reason='answer not behind ####')
    """
    if MARK in completion:
        return grade_final(answer_gold, completion, lenient_number)
    behind_marks = "\n".join(f"{MARK} {content}" for content in boxed(completion))
    grade = grade_final(answer_gold, behind_marks, lenient_number)
    reason = "answer not behind ####" if grade.correct else grade.reason
    return replace(grade, formatted=False, reason=reason)


def boxed(text: str) -> list[str]:
    r"""The contents of all `\boxed{...}` of a text, each on one line; nothing for a box that is not
    closed within `MAX_LENGTH` characters.

    >>> boxed(r"At first \boxed{7}, then \boxed{42\text{ km}}, and \boxed{1")
    ['7', '42\\text{ km}', '']
    """
    return [" ".join(up_to_brace(piece[: MAX_LENGTH + 1]).split()) for piece in text.split(BOX)[1:]]


def up_to_brace(text: str) -> str:
    """The text before the brace that closes one opened in front of it; nothing if none does.

    >>> up_to_brace("1{,}234} metres"), up_to_brace("12")
    ('1{,}234', '')
    """
    depth = 1
    for at, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return text[:at]
    return ""


def after_answer(completion: str) -> str:
    r"""What stands on the lines below the first answer: `after_answer("#### 7\nBye")` is
    `"Bye"`."""
    return completion.partition(MARK)[2].partition("\n")[2]


def vote_key(answer: str | None, read: Callable[[str], Fraction | None] = number) -> str | None:
    """One spelling for each number, so that equal answers vote together; None (no vote) if it is
    none.

    >>> vote_key("$1,250.0"), vote_key("1250"), vote_key("many"), vote_key(None)
    ('1250', '1250', None, None)
    """
    value = None if answer is None else read(answer)
    return None if value is None else format_number(value)


class Tagged(NamedTuple):
    """What stands between the tags of a completion. `answer`: without the white space around it;
    None if there is not exactly one, and `reason` then says why. `ends`: nothing stands behind
    it."""

    answer: str | None
    reason: str = ""
    ends: bool = False


def read_tags(completion: str) -> Tagged:
    r"""The answer in the one pair of tags, for the tasks that use tags. White space around it is
    ignored: R1's template is mostly filled with a line break before or behind the answer.

    >>> read_tags("<answer>\n20 * 3\n</answer>\n")
    Tagged(answer='20 * 3', reason='', ends=True)
    >>> read_tags("<answer>20").reason
    'answer not closed'
    """
    opened, closed = completion.count(OPEN), completion.count(CLOSE)
    before, _, rest = completion.partition(OPEN)
    answer, _, tail = rest.partition(CLOSE)
    if opened > 1 or closed > 1:
        return Tagged(None, "two answers")
    if not opened or CLOSE in before:
        return Tagged(None, "no answer")
    if not closed:
        return Tagged(None, "answer not closed")
    if not answer.strip():
        return Tagged(None, "empty answer")
    return Tagged(answer.strip(), ends=not tail.strip())


# -- the sums before it ----------------------------------------------------------------------------


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

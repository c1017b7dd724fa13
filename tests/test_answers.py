"""Reading and judging answers: one `####` and one number counts, whatever a model writes around
it."""

import doctest
import importlib
import itertools
import json
import re
import textwrap
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilrm.tasks import answers, task_class
from minilrm.tasks.answers import (
    boxed,
    check_equation,
    equations,
    extract,
    grade_final,
    grade_lenient,
    lenient_number,
    read_tags,
    thinks,
    vote_key,
)
from minilrm.tasks.base import Problem
from minilrm.tasks.calculator import format_number, number

repeatable = settings(derandomize=True, deadline=None, max_examples=300)

RIGHT, WRONG, NONE, TWO = "right", "wrong answer", "no answer", "two answers"
UNREADABLE, TAIL = "unreadable answer", "text after the answer"

# Some fifty ways to write 72, or to seem to: (completion, correct, formatted, reason).
CASES = [
    (" #### 72", True, True, RIGHT),
    ("\n<<48+24=72>>72\n#### 72", True, True, RIGHT),
    ("####72", True, True, RIGHT),
    ("#### 72\n", True, True, RIGHT),
    ("#### 72 \t\r\n \n", True, True, RIGHT),
    ("The answer is #### 72", True, True, RIGHT),
    ("#### $72", True, True, RIGHT),
    ("#### 72.", True, True, RIGHT),
    ("#### 72.00", True, True, RIGHT),
    ("#### $72.00.", True, True, RIGHT),
    ("#### 72%.", True, True, RIGHT),
    ("#### 072", True, True, RIGHT),
    ("#### 72%", True, True, RIGHT),
    ("#### 71", False, True, WRONG),
    ("#### -72", False, True, WRONG),
    ("#### 7.2", False, True, WRONG),
    ("#### 72.000000001", False, True, WRONG),
    ("#### 720", False, True, WRONG),
    ("", False, False, NONE),
    ("72", False, False, NONE),
    ("### 72", False, False, NONE),
    ("# # # # 72", False, False, NONE),
    ("＃＃＃＃ 72", False, False, NONE),
    ("#### 72\n#### 72", False, False, TWO),
    ("#### 72 #### 72", False, False, TWO),
    ("#### 71\n#### 72", False, False, TWO),
    ("#### 72\nThe format is #### n", False, False, TWO),
    ("######## 72", False, False, TWO),
    ("####", False, False, UNREADABLE),
    ("#### ", False, False, UNREADABLE),
    ("####\n72", False, False, UNREADABLE),
    ("##### 72", False, False, UNREADABLE),
    ("#### 72 clips", False, False, UNREADABLE),
    ("#### 72 73", False, False, UNREADABLE),
    ("#### 48+24", False, False, UNREADABLE),
    ("#### 144/2", False, False, UNREADABLE),
    ("#### <<48+24=72>>72", False, False, UNREADABLE),
    ("#### ٧٢", False, False, UNREADABLE),
    ("#### 7,2", False, False, UNREADABLE),
    ("#### 72e0", False, False, UNREADABLE),
    ("#### seventy-two", False, False, UNREADABLE),
    ("#### 72\u2028 so there", False, False, UNREADABLE),
    ("#### **72**", False, False, UNREADABLE),
    ("#### \\boxed{72}", False, False, UNREADABLE),
    ("The answer is \\boxed{72}.", False, False, NONE),
    ("#### 72..", False, False, UNREADABLE),
    ("#### 72%%", False, False, UNREADABLE),
    ("#### __import__('os')", False, False, UNREADABLE),
    ("#### " + "7" * 5000, False, False, UNREADABLE),
    ("#### 72\nThat is all.", True, False, TAIL),
    ("#### 72\n\nQuestion: What next?", True, False, TAIL),
    ("#### 71\nNo, 72.", False, False, WRONG),
    ("#### 72\x00", False, False, UNREADABLE),
]


@pytest.mark.parametrize(
    "completion, correct, formatted, reason", CASES, ids=lambda value: ascii(value)[:40]
)
def test_adversarial_completions(completion, correct, formatted, reason):
    grade = grade_final("72", completion)
    assert (grade.correct, grade.formatted, grade.reason) == (correct, formatted, reason)
    assert (grade.answer is None) == (reason in (NONE, TWO, UNREADABLE))


@pytest.mark.parametrize(
    "name",
    ["calculator", "answers", "frames", "arithmetic", "general", "problem_shapes", "problem"],
)
def test_the_worked_examples_in_the_docstrings(name):
    failed, run = doctest.testmod(importlib.import_module(f"minilrm.tasks.{name}"))
    assert run and not failed


# ---- the table in the docstring of answers.py, and the docs that show it

TABLE = re.compile(r"^ *written +strict +lenient\n(.*?)\n *\n", re.DOTALL | re.MULTILINE)
ROWS = [
    re.fullmatch(r" *(.+?)  +(\S+) +(\S+)", line).groups()
    for line in TABLE.search(answers.__doc__)[1].split("\n")
]
LECTURE = Path(__file__).resolve().parents[1] / "lectures" / "14_verifiable_rewards" / "README.md"


@pytest.mark.parametrize("written, strict, lenient", ROWS, ids=lambda text: ascii(text))
def test_a_row_of_the_table_of_answers(written, strict, lenient):
    """Each task reads what the table says, and votes by the same reading."""
    for name, column in (("gsm8k-mini", strict), ("arithmetic", strict), ("gsm8k", lenient)):
        task, problem = object.__new__(task_class(name)), Problem(name, "", column, "")
        grade = task.grade(problem, f"\n#### {written}\n")
        assert grade.correct == grade.formatted == (column != "-"), name
        assert task.vote_key(problem, written) == (None if column == "-" else column), name
    for read, column in ((number, strict), (lenient_number, lenient)):
        value = read(written)
        assert ("-" if value is None else format_number(value)) == column


def test_the_table_is_long_enough_to_say_something():
    assert len(ROWS) > 35 and {row[1] for row in ROWS} > {"-"} and {row[2] for row in ROWS} > {"-"}


def test_lecture_14_shows_the_table():
    table = textwrap.dedent(TABLE.search(answers.__doc__)[0]).strip()
    assert f"```text\n{table}\n```" in LECTURE.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "completion, correct, formatted, reason",
    [
        ("\n6*12 = 72 km.\n#### **72 km**", True, True, RIGHT),
        ("#### $72.00.\n", True, True, RIGHT),
        ("#### 72 km\nThat is far.", True, False, TAIL),
        ("#### 73 km", False, True, WRONG),
        ("#### \\boxed{72}\n#### 72", False, False, TWO),
        ("So it is $\\boxed{72}$.", True, False, "answer not behind ####"),
        ("So it is \\boxed{72\\text{ km}}\nThat is far.", True, False, "answer not behind ####"),
        ("So it is \\boxed{73}.", False, False, WRONG),
        ("First \\boxed{72}, or rather \\boxed{72}.", False, False, TWO),
        ("\\boxed{72} or not.\n#### 73", False, True, WRONG),
        ("So it is \\boxed{72", False, False, UNREADABLE),
        ("So it is \\boxed{}.", False, False, UNREADABLE),
        ("So it is **72**.", False, False, NONE),
        ("\\boxed{<<70+2=72>>}", False, False, UNREADABLE),
        ("\\boxed{" * 20_000 + "72" + "}" * 20_000, False, False, TWO),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_a_completion_of_a_larger_model(completion, correct, formatted, reason):
    grade = grade_lenient("72", completion)
    assert (grade.correct, grade.formatted, grade.reason) == (correct, formatted, reason)


@pytest.mark.parametrize(
    "completion, answer, reason, ends",
    [
        ("<answer>20</answer>", "20", "", True),
        ("<think>\n4*5\n</think>\n<answer>20\n</answer>\n", "20", "", True),
        ("<answer>\r\n\t 20 * 3 \u2003</answer> Done.", "20 * 3", "", False),
        ("<answer> \n </answer>", None, "empty answer", False),
        ("<answer>20", None, "answer not closed", False),
        ("20</answer>", None, "no answer", False),
        ("</answer>20<answer>", None, "no answer", False),
        ("<answer>20</answer><answer>21</answer>", None, "two answers", False),
        ("<answer>20</answer></answer>", None, "two answers", False),
        ("", None, "no answer", False),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_an_answer_in_tags_may_have_white_space_around_it(completion, answer, reason, ends):
    assert read_tags(completion) == (answer, reason, ends)


def test_gold_is_read_as_a_number_too():
    assert grade_final("2,125", "#### 2125").correct and grade_final("-5", "#### -5.0").correct
    assert not grade_final("no number", "#### 5").correct


PIECES = [
    *"#<>=0123456789+-*/. \n$,{}%−€",
    *("#### ", "\\boxed{", "**", "\\text{", "\\$", " km", "<answer>", "</answer>"),
]


@repeatable
@given(
    st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=40).map("".join)),
    st.text(max_size=10),
)
def test_total(text, gold):
    grade, lenient = grade_final(gold, text), grade_lenient(gold, text)
    assert grade.answer is None or vote_key(grade.answer) is not None
    assert lenient.answer is None or vote_key(lenient.answer, lenient_number) is not None
    assert lenient.correct or not grade.correct  # the lenient reading takes back nothing
    assert (read_tags(text).answer is None) == (read_tags(text).reason != "")
    assert number(text) is None or lenient_number(text) == number(text)
    assert isinstance(thinks(text), bool)
    assert all(check_equation(*equation) in (True, False, None) for equation in equations(text))
    assert len(extract(text)) == text.count("####")


HOSTILE = [
    "<<",
    "####",
    "#",
    "<<1+",
    "<<1=",
    "<<=>>",
    "<<1=1=",
    "<",
    ">>",
    "<<a\n",
    " ",
    "\n",
    "9",
    "#### 1\n",
    "<<+=>>",
    "\\boxed{",
    "{",
    "**",
    "<answer>",
    "$",
]


@pytest.mark.parametrize("piece", HOSTILE, ids=repr)
def test_hostile_length_is_quick(piece):
    text = piece * (100_000 // len(piece))
    start = time.perf_counter()
    for hostile in (text, "<<" + text, "####" + text, "<<1+1=" + text + ">>"):
        grade_final("1", hostile)
        grade_lenient("1", hostile)
        boxed("\\boxed{" + hostile)
        read_tags(hostile)
        extract(hostile)
        thinks(hostile)
        for equation in equations(hostile):
            check_equation(*equation)
    assert time.perf_counter() - start < 3


def test_equations():
    assert equations("a <<1+2=3>>3 <<4*5=20>>20 <<=>> <<1+1>> <<1=2=3>> <1=1> <<1\n=1>>") == [
        ("1+2", "3"),
        ("4*5", "20"),
        ("", ""),
        ("1", "2=3"),
    ]


def test_check_equation():
    for expression, result, verdict in [
        ("1+2", "3", True),
        ("1+2", "3.0", True),
        (" 1 + 2 ", " 3 ", True),
        ("12/60", "0.2", True),
        ("20-25", "-5", True),
        ("80000*1.5", "120,000", True),
        ("1+2", "4", False),
        ("10/3", "3.33", False),
        ("2**3", "8", None),
        ("7//2", "3", None),
        ("1/0", "0", None),
        ("", "", None),
        ("1+", "1", None),
        ("1+2", "x", None),
        ("x", "1", None),
        ("1+2", "2+1", None),
    ]:
        assert check_equation(expression, result) is verdict, (expression, result)


def test_thinks():
    assert thinks("<<1+1=2>>2\n#### 2") and thinks("<<1+1=3>>3")
    assert (
        not thinks("#### 2 <<1+1=2>>")
        and not thinks("1+1=2")
        and not thinks("<<hmm=hmm>>")
        and not thinks("")
    )


# ---- hostile answers: none of them is 72, however it is dressed

NOT_72 = (
    r"""
    71 73 -72 720 7.2 72.1 72.000000001 0.72 072.5 1,072 72,000 7,2 72, ,72 7 27 7_2 72_ 0x48 72e0
    0b1001000 72e1 7.2e1 72^1 72! ~72 72i 72x x=72 =72 (72) [72] {72} <72> "72" '72' `72` 72/1 36*2
    144/2 71+1 73-1 70+2 --72 +72 -+72 72+0 72*1 8*9 72;73 72/73 72-73 72..73 72... 72.. 72%% %72 $
    $72$73 72€€ 7²2 72² ⁷² ٧٢ ७२ 𝟕𝟐 ⑦② ７２ 七十二 LXXII ½ 72½ ∞ NaN inf nan None True 72L 72j #72
    @72 &72 72km 72m 72USD USD72 seventy-two #### <<72 72>> <<71+1=72>>72 \frac{144}{2} \sqrt{5184}
    −72 \boxed72 \boxed{} \text{72 \$ \% \{72\} 72\cdot1 72\%\% **72 72** *72* __72__ ~~72~~ −−72
    -−72
    """.split()
    + [
        *(
            "",
            "7 2",
            "72 73",
            "72 or 73",
            "72, 73",
            "72 and 73",
            "72 not",
            "not 72",
            "72 or",
            "1 72",
        ),
        *("about 72", "- 72 km", "72 thousand", "72 Million", "72 dozen", "72 hundred", "72 half"),
        *(
            "72 tenths",
            "72 pi",
            "72 squared",
            "72 x",
            "72 k",
            "72 K",
            "72 e",
            "72 i",
            "72 %%",
            "72 % %",
        ),
        *(
            "72 + 0",
            "72 * 1",
            "72 1/2",
            "72 km 73",
            "72 km or 73",
            "73 km",
            "72 km km",
            "= 72",
            "72 = 72",
        ),
        *(
            "72 ½",
            "72 十",
            "72 Ⅷ",
            "7\u200b2",
            "7\u00a02",
            "72\x00",
            "\ud835",
            "72\u2028 73",
            "72\u0307",
        ),
        *("$72 $73", "€−$72", "**72** **73**", "**72** or **73**", r"\boxed{72}\boxed{73}"),
        *(r"\boxed{72} or \boxed{73}", r"\boxed{\boxed{\boxed{\boxed{\boxed{72}}}}}"),
        *(
            "__import__('os')",
            "7" * 300,
            "72" + "0" * 300,
            "0" * 300 + "72",
            "72 metres or 73 metres",
        ),
    ]
)
DRESSES = [
    *("{}", " {} ", "{}.", "{}..", "**{}**", "**{}.**", "${}$", r"\({}\)", r"\text{{{}}}", "${}"),
    *(r"\boxed{{{}}}", r"$\boxed{{{}}}$.", r"\boxed{{{}\text{{ km}}}}", "{} km", "{} dollars."),
    *("€{}", "{}%", "{} %.", "<b>{}</b>", "{} (about)"),
]
PLACES = [
    *("#### {}", "So:\n#### {}\n", r"\boxed{{{}}}", "Answer: {}"),
    *("#### {0}\n#### {0}", "<answer>{}</answer>"),
]


def test_no_hostile_answer_is_taken_for_72():
    """Each answer in each dress and place, by both readings."""
    asked = list(itertools.product(NOT_72, DRESSES, PLACES))
    assert len(asked) > 18_600
    for core, dress, place in asked:
        completion = place.format(dress.format(core))
        for grade in (grade_final("72", completion), grade_lenient("72", completion)):
            assert not grade.correct, ascii(completion)


# ---- the real GSM8K, where it is at hand

GSM8K = Path(__file__).resolve().parents[2] / "shared" / "gsm8k"
needs_gsm8k = pytest.mark.skipif(
    not (GSM8K / "train.jsonl").exists(), reason="the real GSM8K is not here"
)

# Our rule: a result is one number, exactly equal to the sum; nothing is rounded. By it none of the
# 27,998 annotations in the two files is wrong, but twenty are not well-formed: a plus sign before a
# number, Python's `//`, and one result that is a sum itself. (file, line, annotation)
ILL_FORMED = [
    ("train", 9, "+30+46+38+11+18=143"),
    ("train", 395, "560//10=56"),
    ("train", 582, "+10=10"),
    ("train", 597, "+12.5+25+16.5=54"),
    ("train", 793, "+11=11"),
    ("train", 1260, "+7=7"),
    ("train", 3372, "+3+3=6"),
    ("train", 3372, "+6+3=9"),
    ("train", 3372, "+9+3=12"),
    ("train", 4170, "180//3=60"),
    ("train", 4171, "+55=55"),
    ("train", 5209, "+25=25"),
    ("train", 5210, "3*+6=18"),
    ("train", 6277, "+17.5-2=15.5"),
    ("test", 85, "+8=8"),
    ("test", 212, "+2=2"),
    ("test", 320, "3/4=3/4"),
    ("test", 688, "+7=7"),
    ("test", 1046, "+80=80"),
    ("test", 1062, "+18=18"),
]
WRONG_SUMS = []


def gsm8k_answers():
    for name in ("train", "test"):
        for i, line in enumerate((GSM8K / f"{name}.jsonl").read_text("utf-8").split("\n"), 1):
            if line:
                yield name, i, json.loads(line)["answer"]


@needs_gsm8k
def test_every_gold_answer_of_gsm8k_is_read():
    counts = Counter()
    for name, i, answer in gsm8k_answers():
        gold = answer.rsplit("#### ", 1)[1]
        assert float(vote_key(gold)) == float(gold.replace(",", "")), (name, i, gold)
        grade = grade_final(gold, answer)
        assert grade.correct and grade.formatted and grade.answer == gold, (name, i, gold)
        counts[name] += 1
    assert counts == {"train": 7473, "test": 1319}


@needs_gsm8k
def test_every_annotation_of_gsm8k_is_checked():
    verdicts, ill_formed, wrong = Counter(), [], []
    for name, i, answer in gsm8k_answers():
        found = equations(answer)
        assert len(found) == answer.count("<<"), (name, i)  # none is overlooked
        for expression, result in found:
            verdict = check_equation(expression, result)
            verdicts[verdict] += 1
            if verdict is not True:
                (ill_formed if verdict is None else wrong).append(
                    (name, i, f"{expression}={result}")
                )
    assert ill_formed == ILL_FORMED
    assert wrong == WRONG_SUMS
    assert verdicts == {True: 27_978, None: 20}

"""Reading and judging answers: one `####` and one number counts, whatever a model writes around
it."""

import doctest
import importlib
import json
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilrm.tasks.answers import check_equation, equations, extract, grade_final, thinks, vote_key

repeatable = settings(derandomize=True, deadline=None, max_examples=300)

RIGHT, WRONG, NONE, TWO = "right", "wrong answer", "no answer", "two answers"
UNREADABLE, TAIL = "unreadable answer", "text after the answer"

# Forty ways to write 72, or to seem to: (completion, correct, formatted, reason).
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
    "name", ["calculator", "answers", "frames", "arithmetic", "general", "gsm8k", "base"]
)
def test_the_worked_examples_in_the_docstrings(name):
    failed, run = doctest.testmod(importlib.import_module(f"minilrm.tasks.{name}"))
    assert run and not failed


def test_there_are_forty_of_them():
    assert len({case[0] for case in CASES}) >= 40


def test_gold_is_read_as_a_number_too():
    assert grade_final("2,125", "#### 2125").correct and grade_final("-5", "#### -5.0").correct
    assert not grade_final("no number", "#### 5").correct


@repeatable
@given(st.one_of(st.text(), st.text(alphabet="#<>=0123456789+-*/. \n$,")), st.text(max_size=10))
def test_total(text, gold):
    grade = grade_final(gold, text)
    assert grade.answer is None or vote_key(grade.answer) is not None
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
]


@pytest.mark.parametrize("piece", HOSTILE, ids=repr)
def test_hostile_length_is_quick(piece):
    text = piece * (100_000 // len(piece))
    start = time.perf_counter()
    for hostile in (text, "<<" + text, "####" + text, "<<1+1=" + text + ">>"):
        grade_final("1", hostile)
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

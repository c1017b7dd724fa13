"""What lecture 14 holds its exercises to: tables of strings by hand, and attacks judged by a strict
grader."""

import importlib.util
import re
from fractions import Fraction
from pathlib import Path

from course.grade import exercise, expect, reject

FORBIDDEN = ("minilrm.rewards", "minilrm.tasks.answers", "minilrm.tasks.calculator")
MOST_CALLS = 50


def load_graders():
    """The lecture's graders.py, from beside this file."""
    spec = importlib.util.spec_from_file_location(
        "lecture_14_graders", Path(__file__).with_name("graders.py")
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.BROKEN


BROKEN = load_graders()


# -- accuracy_reward -------------------------------------------------------------------------------


def paid(student, rows):
    """Rows of (completion, gold, wanted, why)."""
    for completion, gold, wanted, why in rows:
        said = student.accuracy_reward(completion, gold)
        shown = completion if len(completion) < 80 else completion[:60] + " ..."
        expect(
            type(said) is float,
            f"a reward is a float, 1.0 or 0.0, and you gave {said!r} for {shown!r}",
        )
        expect(
            said == wanted, f"{shown!r} against {gold!r} gives {wanted}, and you say {said}: {why}"
        )


@exercise("accuracy_reward", points=2)
def honest_answers(student):
    """Right and wrong ones, in several spellings."""
    paid(
        student,
        [
            ("<think>6*12</think> <answer>72</answer>", "72", 1.0, "the answer is right"),
            ("<think>6*12</think> <answer>71</answer>", "72", 0.0, "the answer is wrong"),
            (
                "<answer>\n 72 \n</answer>",
                "72",
                1.0,
                "spaces and newlines around the answer do not count",
            ),
            ("<answer>72.0</answer>", "72", 1.0, "equal as numbers: compare numbers, not texts"),
            ("<answer>144/2</answer>", "72", 1.0, "equal as numbers: 144/2 is 72"),
            ("<answer>2/6</answer>", "1/3", 1.0, "equal as numbers: 2/6 is 1/3"),
            (
                "<answer>0.333333333333</answer>",
                "1/3",
                0.0,
                "not equal: compare exactly, with Fraction, not with a tolerance",
            ),
            ("<answer>-7</answer>", "-7", 1.0, "a minus sign belongs to the number"),
            ("<answer>7</answer>", "-7", 0.0, "the sign counts"),
            ("<answer>007</answer>", "7", 1.0, "equal as numbers"),
            (
                "<answer>9007199254740993</answer>",
                "9007199254740992",
                0.0,
                "a float cannot tell these two apart; a Fraction can",
            ),
        ],
    )


@exercise("accuracy_reward", points=2)
def adversaries(student):
    """What a policy finds when it looks for reward instead of answers."""
    paid(
        student,
        [
            (
                "<answer>71</answer><answer>72</answer>",
                "72",
                0.0,
                "two answers are a guess: each tag exactly once",
            ),
            (
                "<answer>72</answer> or rather <answer>71</answer>",
                "72",
                0.0,
                "two answers are a guess: each tag exactly once",
            ),
            ("<answer><answer>72</answer>", "72", 0.0, "`<answer>` occurs twice"),
            (
                "<think>72</think> <answer>5</answer>",
                "72",
                0.0,
                "only what stands in the answer counts, not the thought",
            ),
            ("72", "72", 0.0, "no tags, no answer"),
            ("", "72", 0.0, "no tags, no answer"),
            ("<answer>72", "72", 0.0, "the answer is never closed"),
            ("72</answer>", "72", 0.0, "the answer is never opened"),
            ("</answer>72<answer>", "72", 0.0, "the tags are in the wrong order"),
            ("<answer></answer>", "72", 0.0, "an empty answer is none"),
            ("<answer>72 boxes</answer>", "72", 0.0, "the whole answer must be a number"),
            ("<answer>71 72 73</answer>", "72", 0.0, "the whole answer must be one number"),
            ("<answer>70+2</answer>", "72", 0.0, "a sum is no number; nothing is ever evaluated"),
            ("<answer>nan</answer>", "72", 0.0, "nan is no number"),
            ("<answer>inf</answer>", "72", 0.0, "inf is no number"),
            (
                "<answer>7_2</answer>",
                "72",
                0.0,
                "Fraction and int read 7_2 as 72; the grammar does not: match it first",
            ),
            ("<answer>72e0</answer>", "72", 0.0, "no exponents: 9e999999999 would take all memory"),
            ("<answer>٧٢</answer>", "72", 0.0, r"digits of other scripts: [0-9], not \d"),
            ("<answer>72/0</answer>", "72", 0.0, "nothing is divided by 0"),
            (
                f"<answer>{'9' * 5000}</answer>",
                "72",
                0.0,
                "too long: Python refuses to read 5,000 digits, with an exception",
            ),
            (f"<answer>{'0' * 200}72</answer>", "72", 0.0, "at most 100 characters"),
            ("<answer>__import__('os').getcwd()</answer>", "72", 0.0, "text is never run"),
        ],
    )


# -- format_reward ---------------------------------------------------------------------------------


def formed(student, rows):
    for completion, wanted, why in rows:
        said = student.format_reward(completion)
        expect(said == wanted, f"{completion!r} gives {wanted}, and you say {said!r}: {why}")


@exercise("format_reward", points=2)
def the_form(student):
    """Well-formed or not."""
    formed(
        student,
        [
            ("<think>6*12 = 72</think><answer>72</answer>", 1.0, "this is the form"),
            (
                "<think>\n6*12\n= 72\n</think>\n\n<answer>72</answer>\n",
                1.0,
                "thoughts have several lines: the dot of a regular expression needs re.DOTALL",
            ),
            (
                " \n<think>6*12</think> <answer>71</answer> ",
                1.0,
                "wrong answers may be well-formed; spaces outside do not matter",
            ),
            ("<answer>72</answer>", 0.0, "there is no thought"),
            ("<think>6*12 = 72</think>", 0.0, "there is no answer"),
            ("<answer>72</answer><think>6*12</think>", 0.0, "the thought comes first"),
            (
                "Well. <think>6*12</think><answer>72</answer>",
                0.0,
                "nothing stands before the thought: fullmatch, not search",
            ),
            (
                "<think>6*12</think><answer>72</answer> Bye",
                0.0,
                "nothing stands behind the answer: fullmatch, not match",
            ),
            (
                "<think>6*12</think> so <answer>72</answer>",
                0.0,
                "nothing stands between the thought and the answer",
            ),
            ("<think>6*12<answer>72</answer>", 0.0, "the thought is never closed"),
        ],
    )


@exercise("format_reward", points=1)
def loopholes(student):
    """Empty parts, and tags inside the parts."""
    formed(
        student,
        [
            (
                "<think></think><answer>72</answer>",
                0.0,
                "an empty thought is none: it would be paid for nothing",
            ),
            ("<think> \n </think><answer>72</answer>", 0.0, "a thought of spaces is empty"),
            ("<think>6*12</think><answer> </answer>", 0.0, "an empty answer is none"),
            (
                "<think>a</think><think>b</think><answer>72</answer>",
                0.0,
                "two thoughts: no tag may stand inside a part",
            ),
            (
                "<think>a</think><answer>71</answer><answer>72</answer>",
                0.0,
                "two answers: no tag may stand inside a part",
            ),
            (
                "<think>a <answer>71</answer></think><answer>72</answer>",
                0.0,
                "an answer inside the thought",
            ),
            ("<think><think>a</think></think><answer>72</answer>", 0.0, "nested tags"),
            (
                "<think>is 3 < 4 > 2 <b>?</b></think><answer>72</answer>",
                1.0,
                "signs and foreign tags are allowed in a thought",
            ),
        ],
    )


# -- language_consistency --------------------------------------------------------------------------

LEXICONS = {
    "en": {"the", "box", "has", "pens", "no"},
    "es": {"la", "caja", "tiene", "lápices", "no", "cuántos"},
}


@exercise("language_consistency", points=2)
def shares(student):
    """Words of one language among those of any."""

    def check(text, target, wanted, why):
        said = student.language_consistency(text, LEXICONS, target)
        expect(isinstance(said, float), f"a float is wanted, and you gave {said!r}")
        expect(
            abs(said - wanted) < 1e-9,
            f"{text!r}, target {target!r}: {why}: {wanted:.4g}, and you say {said:.4g}",
        )

    check("the box has pens", "en", 1.0, "four words of English")
    check("the box has caja", "en", 0.75, "three of four")
    check("the the the caja", "en", 0.75, "words count as often as they occur")
    check("la caja tiene pens", "en", 0.25, "one of four")
    check(
        "the box of Ana has 12 pens, <<3*4=12>>12",
        "en",
        1.0,
        "names, unknown words, numbers and signs count neither above nor below",
    )
    check("The BOX Tiene", "en", 2 / 3, "capitals do not matter")
    check(
        "¿Cuántos lápices?", "es", 1.0, r"letters with accents are letters: [^\W\d_]+, not [a-z]+"
    )
    check("no no caja", "en", 2 / 3, "a word of both languages counts for the target")
    check("no no caja", "es", 1.0, "a word of both languages counts for the target")


@exercise("language_consistency", points=1)
def silence(student):
    """Nothing said is nothing earned."""
    for text in ("", "12 + 3 = 15", "Ana Xyz"):
        said = student.language_consistency(text, LEXICONS, "en")
        expect(
            said == 0.0,
            f"{text!r} has no known word, so the reward is 0.0, and you say {said!r}: a policy would soon find "
            "out that silence is paid",
        )


# -- find_exploit ----------------------------------------------------------------------------------


def strict(completion, gold):
    """What counts as an honest right answer."""
    found = re.findall(r"<answer>(.*?)</answer>", completion, flags=re.DOTALL)
    try:
        return len(found) == 1 and Fraction(found[0].strip()) == Fraction(gold)
    except (ValueError, ZeroDivisionError):
        return False


def attack(student, grader, gold):
    """The student's completion for this grader, and how often it asked."""
    calls = []

    def ask(completion):
        calls.append(completion)
        if len(calls) > MOST_CALLS:
            return 0.0
        return grader(completion, gold)

    found = student.find_exploit(ask)
    expect(
        len(calls) <= MOST_CALLS,
        f"your function asked the grader more than {MOST_CALLS} times: think about its code "
        "instead of guessing numbers",
    )
    expect(
        found is None or isinstance(found, str), f"a text or None is wanted, and you gave {found!r}"
    )
    return found


def must_break(student, names):
    for name, gold in zip(names, ("4711", "8080", "39", "6174"), strict=False):
        found = attack(student, BROKEN[name], gold)
        if found is None:
            reject(
                f"you found no exploit for `{name}`: {BROKEN[name].__doc__} What does that take for granted?"
            )
        expect(not strict(found, gold), f"`{name}`: this is an honest right answer, and no exploit")
        value = BROKEN[name](found, gold)
        expect(
            value >= 1,
            f"`{name}` pays only {value:.2g} for {found[:60]!r}; try an attack on the grader before you return "
            "it",
        )


@exercise("find_exploit", points=2)
def texts(student):
    """Graders that read too much or too little of a text."""
    must_break(student, ("substring", "any_answer", "beginning", "trusting_judge"))


@exercise("find_exploit", points=2)
def numbers(student):
    """Graders whose arithmetic or whose bookkeeping can be turned against them."""
    must_break(student, ("close_enough", "one_per_cent", "never_fails", "points_add_up"))


def raises_often(completion, gold):
    """Breaks down at what is no number, and compares like `close_enough`."""
    return (
        BROKEN["substring"](completion, gold)
        if float(re.findall(r"<answer>(.*?)</answer>", completion)[0]) >= 0
        else 0.0
    )


@exercise("find_exploit", points=1)
def sound_and_fragile(student):
    """A sound grader cannot be broken; a fragile one raises."""
    found = attack(student, lambda completion, gold: float(strict(completion, gold)), "5150")
    expect(
        found is None,
        f"this grader is sound and paid nothing, and you returned {str(found)[:60]!r}: return None if no "
        "attack was paid",
    )
    found = attack(student, raises_often, "5150")
    expect(
        found is not None and raises_often(found, "5150") >= 1,
        "this grader raises exceptions at some attacks and can be "
        "broken by another: an exception is no reward, go on with the next",
    )

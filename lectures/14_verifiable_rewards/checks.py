"""What lecture 14 holds its exercises to: tables of strings by hand, and attacks judged by a strict
grader."""

import copy
import random
import re
from fractions import Fraction
from pathlib import Path

from course.grade import exercise, expect, reject
from course.grade.lecture import load_module

FORBIDDEN = ("minilrm.rewards", "minilrm.tasks.answers", "minilrm.tasks.calculator")
MOST_CALLS = 50


BESIDE = Path(__file__).resolve().parent
BROKEN = load_module(BESIDE / "graders.py", "lecture_14_graders").BROKEN
CASES = load_module(BESIDE / "cases.py", "lecture_14_cases")


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
    paid(student, CASES.HONEST)


@exercise("accuracy_reward", points=2)
def adversaries(student):
    """What a policy finds when it looks for reward instead of answers."""
    paid(student, CASES.ADVERSARIES)


# -- format_reward ---------------------------------------------------------------------------------


def formed(student, rows):
    for completion, wanted, why in rows:
        said = student.format_reward(completion)
        expect(
            type(said) is float,
            f"a reward is a float, 1.0 or 0.0, and you gave {said!r} for {completion!r}",
        )
        expect(said == wanted, f"{completion!r} gives {wanted}, and you say {said!r}: {why}")


@exercise("format_reward", points=2)
def the_form(student):
    """Well-formed or not."""
    formed(student, CASES.FORMS)


@exercise("format_reward", points=1)
def loopholes(student):
    """Empty parts, and tags inside the parts."""
    formed(student, CASES.LOOPHOLES)


# -- language_consistency --------------------------------------------------------------------------

LEXICONS = {
    "en": {"the", "box", "has", "pens", "no"},
    "es": {"la", "caja", "tiene", "lápices", "no", "cuántos"},
    "fr": {"la", "boîte", "et", "crayons"},
}


@exercise("language_consistency", points=2)
def shares(student):
    """Words of one language among those of any."""

    def check(text, target, wanted, why):
        said = student.language_consistency(text, copy.deepcopy(LEXICONS), target)
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
    check("la boîte et la caja", "fr", 0.8, "four of five; there may be more than two languages")
    check("the box et crayons", "en", 0.5, "words of a third language are known words, too")
    check(
        "the_box,has12pens-caja",
        "en",
        0.8,
        "words are runs of letters, whatever stands between them, digits and _ too: the box has "
        "pens caja",
    )


@exercise("language_consistency", points=1)
def silence(student):
    """Nothing said is nothing earned."""
    for text in ("", "12 + 3 = 15", "Ana Xyz"):
        said = student.language_consistency(text, copy.deepcopy(LEXICONS), "en")
        expect(
            said == 0.0,
            f"{text!r} has no known word, so the reward is 0.0, and you say {said!r}: a policy "
            "would soon find out that silence is paid",
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


def right_answers(name):
    """Four right answers, others for each grader: one of one digit, three drawn at random."""
    rng = random.Random(name)
    return [str(rng.randint(1, 9)), *(str(rng.randint(10, 9999)) for _ in range(3))]


def must_break(student, names):
    for name in names:
        for gold in right_answers(name):
            found = attack(student, BROKEN[name], gold)
            if found is None:
                reject(
                    f"you found no exploit for `{name}`: {BROKEN[name].__doc__} What does that "
                    "take for granted? (It was tried with several right answers.)"
                )
            expect(
                not strict(found, gold), f"`{name}`: this is an honest right answer, and no exploit"
            )
            value = BROKEN[name](found, gold)
            expect(
                value >= 1,
                f"`{name}` pays only {value:.2g} for {found[:60]!r}; try an attack on the grader "
                "before you return it",
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
        f"this grader is sound and paid nothing, and you returned {str(found)[:60]!r}: return None "
        "if no attack was paid",
    )
    found = attack(student, raises_often, "5150")
    expect(
        found is not None and raises_often(found, "5150") >= 1,
        "this grader raises exceptions at some attacks and can be broken by another: an exception "
        "is no reward, go on with the next",
    )

"""What lecture 20 holds its exercises to. Reference values: by hand; sums are built from the
inside, so that nothing is evaluated."""

import random
from fractions import Fraction
from pathlib import Path

import torch

from course.grade import exercise, expect, expect_raises, reject
from course.grade.lecture import load_module

FORBIDDEN = ("minilrm.tasks", "minilrm.tools", "minilrm.tool_use")
CASES = load_module(Path(__file__).with_name("cases.py"), "lecture_20_cases")


def shown(text):
    """A text that a message can hold."""
    return repr(text) if len(text) <= 40 else repr(text[:20] + "...")


# -- safe_eval -------------------------------------------------------------------------------------


def valued(student, text, wanted, why=""):
    found = student.safe_eval(text)
    expect(
        isinstance(found, Fraction),
        f"safe_eval({shown(text)}) is to be a Fraction, and yours is {found!r}",
    )
    if found != wanted:
        reject(f"safe_eval({shown(text)}) is {wanted}, and yours is {found}{why and ': '}{why}")


def refused(student, text, what):
    """Only a ValueError is a refusal; any other error would end a training run."""
    expect_raises(
        ValueError,
        lambda: student.safe_eval(text),
        f"safe_eval of {what} is to raise a ValueError, and yours does not",
    )


@exercise("safe_eval", points=2)
def sums(student):
    """Seventeen sums by hand, then two hundred that were built from the inside."""
    for text, wanted in CASES.SUMS:
        valued(student, text, Fraction(wanted))
    for text, wanted in CASES.sums(200):
        if len(text) <= 200:
            valued(student, text, wanted)


@exercise("safe_eval", points=2)
def attacks(student):
    """Texts that are no sum: not one of them may have a value."""
    for text in CASES.ATTACKS:
        refused(student, text, shown(text))


@exercise("safe_eval", points=1)
def bounds(student):
    """Length, digits and depth, up to the bound and one beyond it."""
    for text, wanted in CASES.ALLOWED:
        valued(student, text, wanted, "it is within the bounds")
    for text, what in CASES.LONG:
        refused(student, text, what)


# -- parse_tool_calls ------------------------------------------------------------------------------


def parsed(student, cases):
    for pieces, wanted, why in cases:
        found = student.parse_tool_calls([tuple(piece) for piece in pieces])
        expect(
            isinstance(found, list),
            f"a list of pairs (tool, argument) is asked for, and you give {found!r}",
        )
        if [tuple(call) for call in found] != wanted:
            reject(f"{pieces}: the calls are {wanted}, and yours are {found}: {why}")


@exercise("parse_tool_calls", points=1)
def calls(student):
    """Calls that the model sampled, in one piece and in several."""
    parsed(student, CASES.CALLS)


@exercise("parse_tool_calls", points=2)
def only_from_what_was_sampled(student):
    """Inserted text that is a call, begins one, completes one, or stands within one."""
    parsed(student, CASES.FORGED)


@exercise("parse_tool_calls", points=1)
def tags_that_do_not_match(student):
    """Two opening tags, a closing one too many, none at all, names that are none."""
    parsed(student, CASES.NESTED)


# -- tool_mask -------------------------------------------------------------------------------------

OPENING, CLOSING, PAD = 8, 9, 0


def masked(student, rows, why, opening=OPENING, closing=CLOSING, pad=PAD):
    """rows: pairs of ids and the wanted mask."""
    ids = torch.tensor([ids for ids, _ in rows])
    found = student.tool_mask(ids, opening, closing, pad)
    expect(
        isinstance(found, torch.Tensor) and found.shape == ids.shape,
        f"a mask of the shape {list(ids.shape)} is asked for",
    )
    for (row, wanted), mask in zip(rows, found.long().tolist(), strict=True):
        if mask != wanted:
            reject(f"the row {row} has the mask {wanted}, and yours is {mask}: {why}")


@exercise("tool_mask", points=2)
def results(student):
    """One result, two, none, and padding; other ids for the tags."""
    masked(student, [([5, 6, 7], [1, 1, 1])], "there is no result, so all is learnt")
    masked(
        student,
        [([5, 8, 3, 9, 6, 0], [1, 0, 0, 0, 1, 0])],
        "the tags were inserted with what stands between them, and padding teaches nothing",
    )
    masked(
        student,
        [([5, 8, 3, 9, 6, 8, 4, 4, 9, 7], [1, 0, 0, 0, 1, 0, 0, 0, 0, 1])],
        "between two results the model wrote itself",
    )
    masked(
        student,
        [([8, 3, 9, 6, 0, 0], [0, 0, 0, 1, 0, 0]), ([5, 6, 8, 9, 5, 7], [1, 1, 0, 0, 1, 1])],
        "each row has its own results",
    )
    masked(
        student,
        [([5, 2, 3, 4, 6, 1], [1, 0, 0, 0, 1, 0])],
        "the tags and the padding have the ids that the arguments say",
        opening=2, closing=4, pad=1,
    )  # fmt: skip


@exercise("tool_mask", points=2)
def results_that_are_odd(student):
    """A result that is cut off, an opening tag within one, a closing tag alone; random rows."""
    masked(student, [([5, 8, 3, 3], [1, 0, 0, 0])], "a result without an end goes on to the end")
    masked(
        student,
        [([8, 3, 8, 9, 6, 7, 5], [0, 0, 0, 0, 1, 1, 1])],
        "an opening tag inside changes nothing: the first closing tag ends the result",
    )
    masked(
        student,
        [([5, 9, 6, 8, 3, 9, 7], [1, 1, 1, 0, 0, 0, 1])],
        "a closing tag that closes nothing is the model's own, and hides no later result",
    )
    rng = random.Random(0)
    rows = []
    for _ in range(60):
        pieces = [
            ([rng.randint(1, 7)], [1])
            if rng.random() < 0.6
            else ([8, rng.randint(1, 7), 9], [0] * 3)
            for _ in range(6)
        ]
        ids, mask = (sum((piece[i] for piece in pieces), []) for i in (0, 1))
        rows.append(([*ids, *[0] * (18 - len(ids))], [*mask, *[0] * (18 - len(mask))]))
    masked(student, rows, "sixty rows at once")


# -- made_up ---------------------------------------------------------------------------------------


def judged(student, cases):
    for answer, question, wanted, why in cases:
        found = student.made_up(answer, question, [dict(row) for row in CASES.TABLE])
        if found is not wanted:
            reject(
                f"{answer!r} to {question!r}: {wanted} is asked for, and yours is {found}: {why}"
            )


@exercise("made_up", points=1)
def facts(student):
    """Answers that are in the table, in the question, or nowhere."""
    judged(student, CASES.FACTS)


@exercise("made_up", points=2)
def numbers(student):
    """Numbers within numbers, within names, with commas; several in an answer."""
    judged(student, CASES.NUMBERS)

"""What lecture 19 holds its exercises to. Reference values: by hand, by the library's exact labels,
by going through all ways in which roll-outs can come out."""

import random
from pathlib import Path

import torch

from course.grade import exercise, expect, expect_close, expect_raises, reject
from course.grade.lecture import load_module

FORBIDDEN = (
    "minilrm.feedback",
    "minilrm.inference",
    "minilrm.intervals",
    "minilrm.labels",
    "minilrm.process",
    "minilrm.reward_model",
    "minilrm.scorers",
    "minilrm.tasks",
)
CASES = load_module(Path(__file__).with_name("cases.py"), "lecture_19_cases")


# -- label_steps -----------------------------------------------------------------------------------


def written(steps):
    return ", ".join(f"{a}{sign}{b}={result}" for a, sign, b, result in steps) or "no steps"


def labelled(student, numbers, steps, can_reach):
    found = student.label_steps(list(numbers), list(steps), can_reach)
    expect(
        isinstance(found, list),
        f"a list of labels is asked for, such as [True, False], and you give {found!r}",
    )
    return found


def compared(found, wanted, numbers, aim, steps, why=""):
    """Rejects labels that are not the wanted ones, and says in what."""
    if found != wanted:
        if wanted[-1:] == [False] and found == wanted[:-1]:
            why = "the first wrong step has a label, too: False"
        elif wanted[-1:] == [False] and found[: len(wanted)] == wanted:
            why = "behind the first wrong step nothing is labelled"
        reject(
            f"from {numbers} {aim}, {written(steps)}: the labels are {wanted}, and yours are "
            f"{found}{why and ': '}{why}"
        )


@exercise("label_steps", points=2)
def by_hand(student):
    """Eleven answers where all is within reach, what is asked, and three with a target."""
    for numbers, steps, wanted, why in CASES.SUMS:
        found = labelled(student, numbers, steps, CASES.anything)
        compared(found, wanted, numbers, "with all within reach", steps, why)
    can_reach = CASES.Reach(53)
    labelled(student, [4, 7, 25], [(4, "*", 7, 28), (28, "+", 25, 53)], can_reach)
    expect(
        can_reach.asked == [[25, 28], [53]],
        "from 4, 7, 25 by 4*7=28 and 28+25=53, `can_reach` is to be asked for [25, 28] and for "
        f"[53], what is left *after* each step; yours is asked for {can_reach.asked}",
    )
    for numbers, target, steps, wanted, why in CASES.REACH:
        found = labelled(student, numbers, steps, CASES.Reach(target))
        compared(found, wanted, numbers, f"to {target}", steps, why)


@exercise("label_steps", points=2)
def until_the_first_wrong_one(student):
    """The first False is there, and is the last; then two hundred answers, by the library."""
    for numbers, target, steps in (
        ([4, 7, 25], 53, [(25, "-", 7, 18), (18, "+", 4, 22)]),
        ([4, 7, 25], 53, [(4, "*", 7, 29), (7, "*", 4, 28), (28, "+", 25, 53)]),
        *CASES.answers(200),
    ):
        every = CASES.told(numbers, target, steps)
        wanted = every[: every.index(False) + 1] if False in every else every
        found = labelled(student, numbers, steps, CASES.Reach(target))
        compared(found, wanted, numbers, f"to {target}", steps)


# -- mc_label --------------------------------------------------------------------------------------


def right(answer):
    return answer in CASES.RIGHT


def rolled(student, hard, steps=CASES.STEPS, n=4):
    policy = CASES.Policy(CASES.WAYS)
    found = student.mc_label(list(steps), policy, right, n, hard)
    expect(
        isinstance(found, list) and len(found) == len(steps),
        f"one label for each of {len(steps)} steps is asked for, as a list; you give {found!r}",
    )
    return found, policy.asked


@exercise("mc_label", points=2)
def shares_and_any(student):
    """Four steps of which 1, 3 and 0 of 4 roll-outs are right, and the answer is wrong."""
    found, _ = rolled(student, hard=False)
    expect_close(
        found,
        [0.25, 0.75, 0.0, 0.0],
        "the soft labels are the shares of right answers among the roll-outs: [1/4, 3/4, 0, 0]",
        {
            "these are the hard labels; with hard=False a label is a share": [1.0, 1.0, 0.0, 0.0],
            "you roll out from the *beginning* of each step: its own text belongs to what has "
            "begun": [0.5, 0.25, 0.75, 0.0],
            "you grade the new text alone; `is_right` wants the whole answer": [0, 0.75, 0, 0],
            "you begin with this step alone; all steps before it belong to the text, too": [
                *(0.25, 0.0, 0.0, 0.0)
            ],
            "the share of *wrong* answers; a good step has a high label": [0.75, 0.25, 1.0, 1.0],
            "counts; divide by the number of roll-outs": [1.0, 3.0, 0.0, 0.0],
            "you count the answer itself among the roll-outs": [0.2, 0.6, 0.0, 0.0],
            "(right + 1) / (n + 2) is a cautious guess, and biased; the share is asked for": [
                *(1 / 3, 2 / 3, 1 / 6, 0.0)
            ],
            "a label says what follows this step, not the least of all before it": [
                0.25,
                0.25,
                0,
                0,
            ],
            "the last step ends the answer, so its label is that of the answer; there is nothing "
            "to roll out": [0.25, 0.75, 0.0, 1.0],
            "every label is the outcome of the answer; that is an outcome label, not one of "
            "steps": [0.0] * 4,
        },
    )
    found, _ = rolled(student, hard=True)
    expect_close(
        found,
        [1.0, 1.0, 0.0, 0.0],
        "the hard labels are 1.0 where any roll-out is right: [1, 1, 0, 0]",
        {
            "with hard=True a label is 1.0 or 0.0, and not a share": [0.25, 0.75, 0.0, 0.0],
            "more than half are not needed; a hard label is 1.0 if *any* roll-out is right": [
                *(0.0, 1.0, 0.0, 0.0)
            ],
            "not all have to be right; a hard label is 1.0 if *any* roll-out is": [0.0] * 4,
            "the first roll-out alone does not decide; a hard label is 1.0 if *any* is right": [
                *(0.0, 1.0, 0.0, 0.0)
            ],
        },
    )


@exercise("mc_label", points=2)
def what_is_asked_for(student):
    """One call for each step but the last, with the step in the text; a right answer; one step."""
    _, asked = rolled(student, hard=False)
    expect(
        ("a,b,c,d", 4) not in asked,
        "the last step ends the answer, so there is nothing to roll out behind it",
    )
    expect(
        asked == [("a,", 4), ("a,b,", 4), ("a,b,c,", 4)],
        "`roll_out` is to be asked once for each step but the last, for ('a,', 4), ('a,b,', 4) and "
        f"('a,b,c,', 4); yours is asked for {asked}",
    )
    for hard in (False, True):
        found, asked = rolled(student, hard, ["a,", "b,", "c,", "e"], 2)
        said = "two roll-outs a step, and an answer that is right:"
        wanted = [1.0, 1.0, 0.0, 1.0] if hard else [0.5, 0.5, 0.0, 1.0]
        expect_close(
            found,
            wanted,
            f"{said} with hard={hard} the labels are {wanted}",
            {
                f"{said} the last label is 1.0": [*wanted[:-1], 0.0],
                f"{said} the share is that of two, as n says": [0.25, 0.25, 0.0, 1.0],
            },
        )
    found, asked = rolled(student, False, ["e"], 4)
    expect(not asked, "an answer of one step: nothing is rolled out")
    expect_close(found, [1.0], "an answer of one step that is right has the label 1.0")


@exercise("mc_label", points=1)
def on_average(student):
    """Over all ways in which four roll-outs can come out: the soft label has the mean p."""
    p, n, means = 0.25, 4, {}
    for hard in (False, True):
        means[hard] = 0.0
        for ways, chance in CASES.worlds(n):
            texts = ["yes" if is_right else "no" for is_right in ways]
            labels = student.mc_label(
                ["a,", "no"],
                lambda text, n, texts=texts: texts,
                lambda text: text == "a,yes",
                n,
                hard,
            )
            means[hard] += chance(p) * labels[0]
    expect_close(
        means[False],
        p,
        "each roll-out is right with p = 0.25, and the soft label is unbiased: its mean is 0.25",
        tolerance=1e-9,
    )
    expect_close(
        means[True],
        1 - (1 - p) ** n,
        "the mean of the hard label is 1 - (1 - p)^n",
        {"the mean of a label that follows the first roll-out is p": p},
        tolerance=1e-9,
    )


# -- aggregate_steps -------------------------------------------------------------------------------


def aggregated(student, how, filler):
    scores, mask = CASES.rows(filler)
    return student.aggregate_steps(scores.clone(), mask.clone(), how)


@exercise("aggregate_steps", points=2)
def values(student):
    """Seven rows by hand; a number where the mask is 0."""
    for how, place in CASES.PLACE.items():
        wanted = torch.tensor([row[place] for row in CASES.ROWS], dtype=torch.float64)
        for filler in (0.125, 1.0, 0.0):
            expect_close(
                aggregated(student, how, filler),
                wanted,
                f"{how}, with {filler:g} where the mask is 0",
                CASES.mistakes_of(how, filler),
            )


@exercise("aggregate_steps", points=1)
def what_the_mask_hides(student):
    """NaN where the mask is 0; another dtype of the mask; float32; one row."""
    for how, place in CASES.PLACE.items():
        wanted = torch.tensor([row[place] for row in CASES.ROWS], dtype=torch.float64)
        found = aggregated(student, how, CASES.NAN)
        expect_close(
            found,
            wanted,
            f"{how}, with NaN where the mask is 0",
            {
                f"{how}: what stands where the mask is 0 makes your result NaN: 0 * NaN is NaN; "
                "use masked_fill or torch.where": wanted.masked_fill(
                    torch.tensor([0 in row[1] for row in CASES.ROWS]), CASES.NAN
                )
            },
        )
        scores, mask = CASES.rows(CASES.NAN)
        for given in (mask.bool(), mask.float()):
            expect_close(
                student.aggregate_steps(scores[1:2].float(), given[1:2].clone(), how),
                wanted[1:2].float(),
                f"{how} of one row, the mask as {given.dtype}: a result of the shape [1]",
            )


@exercise("aggregate_steps", points=1)
def another_word(student):
    """What is none of the three is refused."""
    scores, mask = CASES.rows(0.5)
    for word in ("mean", "max", ""):
        expect_raises(
            ValueError,
            lambda word=word: student.aggregate_steps(scores.clone(), mask.clone(), word),
            f"how={word!r} is none of min, product and last: that must be a ValueError, and no "
            "silent choice",
        )


# -- calibration_error -----------------------------------------------------------------------------


@exercise("calibration_error", points=2)
def by_four_bins(student):
    """Eight scores by hand, and two bins of which one is empty."""
    scores, labels = CASES.QUARTERS
    expect_close(
        student.calibration_error(list(scores), list(labels), 4),
        1.4375 / 8,
        "eight scores in four bins: (2 * 3/8 + 1 * 5/16 + 3 * 1/24 + 2 * 1/8) / 8",
        CASES.mistakes_in_quarters(),
        tolerance=1e-9,
    )
    expect_close(
        student.calibration_error([0.8125, 0.9375], [1.0, 0.0], 4),
        0.375,
        "two scores in one of four bins: |0.875 - 0.5|",
        {
            "an empty bin is left out; it has no mean, and 0 / 0 is NaN": float("nan"),
            "an empty bin is left out, and is no bin with the difference 0": 0.375 / 4,
        },
        tolerance=1e-9,
    )
    expect_close(
        student.calibration_error([0.5], [0.25]),
        0.25,
        "one score, a soft label of 0.25, and ten bins since nothing else is said",
        tolerance=1e-9,
    )


@exercise("calibration_error", points=1)
def edges(student):
    """A score on an edge belongs to the bin above it; 0 to the first, 1 to the last."""
    for scores, labels, bins, wanted, why in (
        ([1.0, 0.875], [0.0, 1.0], 4, 0.4375, "1.0 belongs to the last bin, with 0.875"),
        ([0.0, 0.125], [0.0, 1.0], 4, 0.4375, "0.0 belongs to the first bin, with 0.125"),
        ([0.5, 0.375, 0.625], [0.0, 1.0, 1.0], 2, (0.625 + 2 * abs(0.5625 - 0.5)) / 3,
         "0.5 belongs to the bin above it, with 0.625"),
        ([0.25, 0.5], [1.0, 0.0], 4, 0.625, "0.25 and 0.5 are in two bins"),
        ([0.25, 0.75, 0.375, 0.875], [1.0, 0.0, 0.0, 1.0], 1, 0.0625, "one bin holds all"),
    ):  # fmt: skip
        found = student.calibration_error(list(scores), list(labels), bins)
        expect_close(
            found, wanted, f"scores {scores}, labels {labels}, {bins} bins: {why}", tolerance=1e-9
        )
    expect_raises(
        ValueError,
        lambda: student.calibration_error([0.5, 0.25], [1.0]),
        "two scores and one label must be a ValueError: zip(..., strict=True) says so by itself",
    )


@exercise("calibration_error", points=1)
def a_thousand_scores(student):
    """A judge that is calibrated, and one that is too sure of itself."""
    for sharpen in (1.0, 3.0):
        rng, pairs = random.Random(19), []
        for _ in range(1000):
            chance = rng.random() * 0.96 + 0.02
            odds = (chance / (1 - chance)) ** sharpen
            pairs.append((odds / (1 + odds), float(rng.random() < chance)))
        for bins in (5, 10, 16):
            wanted = 0.0
            for b in range(bins):
                inside = [pair for pair in pairs if b / bins <= pair[0] < (b + 1) / bins]
                wanted += abs(sum(s for s, _ in inside) - sum(y for _, y in inside)) / 1000
            scores, labels = [s for s, _ in pairs], [y for _, y in pairs]
            found = student.calibration_error(scores, labels, bins)
            sure = [(max(s, 1 - s), float((s > 0.5) == (y > 0.5))) for s, y in pairs]
            if found == student.calibration_error(*map(list, zip(*sure, strict=True)), bins):
                reject(
                    "you compare how sure the judge is, max(s, 1 - s), with how often it is right; "
                    "asked for are the score itself and the label"
                )
            expect_close(
                found,
                wanted,
                f"a thousand scores in {bins} bins of equal width (not of equal count)",
                tolerance=1e-9,
            )

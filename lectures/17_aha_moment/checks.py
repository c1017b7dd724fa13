"""What lecture 17 holds its exercises to: traces written by hand, a vocabulary of dangerous pieces,
and a truth table."""

import itertools
import math
from pathlib import Path

import torch

from course.grade import StudentError, close, exercise, expect, expect_raises, reject
from course.grade.lecture import load_module
from minilrm.tasks.countdown import Countdown, make_problem

FORBIDDEN = ("minilrm.reflection", "minilrm.reflection.reading", "minilrm.reflection.ablation")

# -- traces: what writers put down below "Make 53 with 4, 7, 25." ----------------------------------

CASES = load_module(Path(__file__).with_name("cases.py"), "lecture_17_cases")
PROBLEM, TASK = make_problem([4, 7, 25], 53), Countdown()


def trace(name: str) -> dict:
    """A trace cut into parts, each attempt judged by the library."""
    parsed = TASK.parse_trace(CASES.TRACES[name])
    return {
        "attempts": [(TASK.attempt_right(PROBLEM, a), a.accepted) for a in parsed.attempts],
        "right": TASK.grade(PROBLEM, CASES.TRACES[name]).correct,
    }


def expect_stats(student, names: list[str], wanted: dict, mistakes: dict[str, dict]) -> None:
    """Compare entry by entry; `mistakes`: entry -> {message: the value that this mistake gives}."""
    found = student.reflection_stats([trace(name) for name in names])
    expect(
        isinstance(found, dict) and set(found) == set(wanted),
        f"return a dict with the six entries {', '.join(wanted)}",
    )
    for entry, value in wanted.items():
        if value is None or found[entry] is None:
            expect(
                value is found[entry],
                f"{entry}: where there is no case there is no share: None, not {found[entry]!r}"
                if value is None
                else f"{entry} is {value:.4g}, and you return None",
            )
            continue
        if close(found[entry], value):
            continue
        for message, wrong in mistakes.get(entry, {}).items():
            if close(found[entry], wrong):
                reject(f"{entry}: {message}")
        reject(
            f"{entry} should be {value:.4g} for these {len(names)} traces and is {found[entry]!r}"
        )


@exercise("reflection_stats", points=3)
def every_kind_of_writer(student):
    """Writers who correct, doubt, spoil, leave it, miscopy, and answer what they have not tried."""
    names = (
        ["corrected", "right", "spoiled", "no word", "answers better", "answers worse"]
        + ["doubted"] * 2
        + ["careless"] * 5
        + ["leaves it"] * 2
        + ["third time"] * 3
        + ["copied wrongly"] * 3
    )
    expect_stats(
        student,
        names,
        {
            "final_accuracy": 9 / 21,
            "first_try_accuracy": 5 / 21,
            "retry_rate": 8 / 16,
            "false_accept": 6 / 20,
            "corrected": 6,
            "spoiled": 2,
        },
        {
            "first_try_accuracy": {
                "you believe the writer's ok; whether an attempt is right is its first part": 7 / 21
            },
            "retry_rate": {
                "the denominator is wrong: it is of traces whose first try FAILED; the others have "
                "no reason to go on": 8 / 21,
                "you count retries over all traces, also after a right first try": 11 / 21,
            },
            "false_accept": {
                "of wrong attempts, not of all attempts": 6 / 35,
                "of wrong attempts, not of accepted ones": 6 / 18,
                "each wrong attempt is a case, and a trace may hold several": 5 / 16,
            },
            "corrected": {
                "a second attempt after a first try that was RIGHT corrects nothing, and a right "
                "answer after a wrong first try needs no second attempt": 7,
                'the final answer decides ("right"), not the last attempt: it may be copied '
                "wrongly": 8,
                "that is a share; corrected is a count": 6 / 21,
                "the final answer decides, also if there was no second attempt": 5,
            },
            "spoiled": {
                "the final answer decides: a writer who doubts a right attempt and ends right has "
                "spoiled nothing": 3,
                "the final answer decides, also if there was no second attempt": 1,
            },
        },
    )


@exercise("reflection_stats", points=2)
def broken_off(student):
    """Texts that are cut, and an answer out of the blue."""
    names = ["corrected", "leaves it", "cut later", "blue", "cut before ok"]
    names += ["careless", "right", "cut"] * 2
    expect_stats(
        student,
        names,
        {
            "final_accuracy": 4 / 11,
            "first_try_accuracy": 2 / 11,
            "retry_rate": 2 / 5,
            "false_accept": 2 / 5,
            "corrected": 1,
            "spoiled": 0,
        },
        {
            "first_try_accuracy": {
                "traces without a readable first try belong in the denominator: they were not "
                "right": 2 / 7,
                "a first attempt that was cut off before its verdict is no first try, even if it "
                "reaches the target": 3 / 11,
            },
            "retry_rate": {
                "a second attempt counts even if it was cut off": 1 / 5,
                "a trace without a readable first try has not failed its first try": 2 / 9,
            },
            "false_accept": {
                "an attempt without a verdict (None) is neither accepted nor rejected: leave it "
                "out": 2 / 8
            },
            "corrected": {"an answer out of the blue corrects nothing: there was no first try": 2},
            "spoiled": {
                "no readable first try, nothing to spoil: its first attempt was cut off": 1
            },
        },
    )


@exercise("reflection_stats", points=1)
def nothing_to_count(student):
    """A share of nothing is None, a count of nothing 0."""
    expect_stats(
        student,
        ["right", "right"],
        {
            "final_accuracy": 1.0,
            "first_try_accuracy": 1.0,
            "retry_rate": None,
            "false_accept": None,
            "corrected": 0,
            "spoiled": 0,
        },
        {},
    )
    expect_stats(
        student,
        [],
        {
            "final_accuracy": None,
            "first_try_accuracy": None,
            "retry_rate": None,
            "false_accept": None,
            "corrected": 0,
            "spoiled": 0,
        },
        {},
    )


# -- ban_token -------------------------------------------------------------------------------------


def banned_by(student, vocabulary: list[str], word: str = "wait") -> list[bool]:
    """Which tokens the student's function bans; the others' logits must be as they were."""
    logits = torch.linspace(-2.0, 2.0, len(vocabulary) + 1)
    try:
        found = student.ban_token(logits.clone(), [*vocabulary, "?"], word)
    except StudentError as error:
        if not error.isa(ValueError):
            raise
        reject(
            f"with the word {word!r} your function raises ValueError, as if every token were "
            "banned, and '?' has nothing to do with it (re.escape makes signs plain)"
        )
    expect(
        isinstance(found, torch.Tensor) and found.shape == logits.shape,
        "return a tensor of the shape of the logits",
    )
    expect(
        not close(found.exp().sum(), 1.0),
        "these are probabilities or log-probabilities; return logits",
    )
    gone = found == -math.inf
    expect(
        gone.any(),
        f"with the word {word!r} nothing has the logit -inf (a logit of 0, or a large negative "
        "one, is still a probability above 0)",
    )
    expect(
        torch.equal(found[~gone], logits[~gone]),
        "the logits of allowed tokens must stay exactly as they were",
    )
    expect(not gone[-1], f"you ban '?', which has nothing to do with the word {word!r}")
    return gone[:-1].tolist()


@exercise("ban_token", points=1)
def whole_word(student):
    """Tokens that contain the word, also if it is one sign, or signs that mean something else in a
    regular expression."""
    for word, vocabulary, banned in (
        (
            "wait",
            ["no", "wait", " wait", "\nwait,", " waiting", "await", "ok", "Wait"],
            [0, 1, 1, 1, 1, 1, 0, 0],
        ),
        ("k", ["k", "ok", "no", " K"], [1, 1, 0, 0]),
        ("...", ["...", "well...", "!", "ok"], [1, 1, 0, 0]),
        ("perhaps", ["Perhaps", " perhaps", "maybe"], [0, 1, 0]),
    ):
        said = banned_by(student, vocabulary, word)
        for text, gone, wanted in zip(vocabulary, said, banned, strict=True):
            expect(gone >= wanted, f"{text!r} contains {word!r} and stays allowed")
            expect(
                gone <= wanted,
                f"to keep {word!r} out you ban {text!r}, which neither contains the word nor ends "
                "in its beginning",
            )


@exercise("ban_token", points=2)
def pieces(student):
    """The word may also come in pieces; of two pieces, forbidding the first is enough."""
    for word, vocabulary in (
        ("wait", ["wait", "w", " wa", "\nwai", ", w", "7w", "ok\nwa", "(w", "-wai", "_wa", "éw"]),
        ("hmm", ["hmm", "h", " hm", ".h", "\th"]),
        ("perhaps", ["perhaps", "perhap", " per", '"p']),
        ("no-no", ["no-no", "n", " no-", "no-n", "xno-n"]),
        ("...", ["...", ".", " .."]),
    ):
        said = banned_by(student, vocabulary, word)
        for text, gone in zip(vocabulary, said, strict=True):
            expect(
                gone, f"{text!r} stays allowed, and the next token could complete it to {word!r}"
            )


@exercise("ban_token", points=1)
def others_are_spared(student):
    """What cannot become the word stays sayable."""
    for word, vocabulary in (
        (
            "wait",
            ["wait", "wer", "ait", "it", "a", "t", "sw", " swa", "answer", "wax", "w7", "", " "]
            + ["Aw", " XWwa", "w\n", "wa "],
        ),
        ("hmm", ["hmm", "oh", "m", "mm", " the", "h7", "a", "\n", "Ah"]),
        ("perhaps", ["perhaps", "hap", "s", "stop"]),
    ):
        said = banned_by(student, vocabulary, word)
        for text, gone in list(zip(vocabulary, said, strict=True))[1:]:
            expect(
                not gone,
                f"you ban {text!r}, with which {word!r} cannot be said: it does not end in a "
                "beginning of it that stands after no letter (A-Z, a-z)",
            )


@exercise("ban_token", points=1)
def batches_and_the_end(student):
    """Any number of rows; the caller's logits are left alone; at least one token must remain."""
    vocabulary = ["wait", "no", " w", "ok"]
    logits = torch.tensor([[[1.0, 2.0, 3.0, 4.0]], [[4.0, 3.0, 2.0, 1.0]]])
    kept = logits.clone()
    found = student.ban_token(logits, vocabulary, "wait")
    expect(torch.equal(logits, kept), "your function changes its argument `logits`; copy it")
    expect(
        close(found.softmax(-1)[..., 1], [[1 / (1 + math.e**2)], [math.e**2 / (1 + math.e**2)]]),
        "in each row the remaining tokens share the probability in proportion; the vocabulary is "
        "the last axis",
    )
    expect_raises(
        ValueError,
        lambda: student.ban_token(torch.zeros(2), ["wait", "w"], "wait"),
        "if every token is banned nothing can be sampled: raise ValueError",
    )


# -- aha_verdict -----------------------------------------------------------------------------------

BEFORE = (0.05, 0.09)
RETRY = {True: (0.92, 0.97), False: (0.04, 0.08), None: None}
COUNTS = {True: (400, 3), False: (40, 30)}
GAP = {True: (0.30, 0.36), False: (-0.01, 0.02), None: None}


def verdict(student, after=(0.92, 0.97), counts=(400, 3), gap=(0.30, 0.36), before=BEFORE) -> str:
    return student.aha_verdict(
        {"retry_rate": before, "corrected": 5, "spoiled": 4},
        {"retry_rate": after, "corrected": counts[0], "spoiled": counts[1]},
        gap,
    )


@exercise("aha_verdict", points=2)
def truth_table(student):
    """All eighteen cases of three conditions, two of which may be unknown."""
    for rose, corrects, carries in itertools.product(
        (True, False, None), (True, False), (True, False, None)
    ):
        if rose is False:
            wanted = "absent"
        elif rose and (not corrects or carries is False):
            wanted = "superficial"
        else:
            wanted = "too few" if None in (rose, carries) else "load-bearing"
        found = verdict(student, RETRY[rose], COUNTS[corrects], GAP[carries])
        words = {True: "holds", False: "fails", None: "is unknown"}
        case = (
            f"the retry rate rose: {words[rose]}; corrected 5 times spoiled: {words[corrects]}; "
            f"the gap above 0: {words[carries]}"
        )
        expect(found == wanted, f"{case}: the verdict is {wanted!r}, not {found!r}")
    expect(
        verdict(student, before=None) == "too few",
        "the interval BEFORE may be unknown, too; then nobody knows if it rose",
    )


@exercise("aha_verdict", points=2)
def borders(student):
    """Intervals that touch, counts that are just enough, and nothing corrected at all."""
    strange = student.aha_verdict(
        {"retry_rate": BEFORE, "corrected": 0, "spoiled": 90},
        {"retry_rate": (0.9, 0.95), "corrected": 50, "spoiled": 1},
        (0.2, 0.3),
    )
    expect(strange == "load-bearing", "corrected and spoiled are those AFTER training")
    cases = [
        (
            {"after": (0.08, 0.20)},
            "absent",
            "(.05, .09) and (.08, .20) overlap: the retry rate has not been shown to rise",
        ),
        (
            {"before": (0.5, 0.7), "after": (0.6, 0.9)},
            "absent",
            "(.5, .7) and (.6, .9) overlap: the retry rate has not been shown to rise",
        ),
        (
            {"before": (0.0, 0.01), "after": (0.02, 0.05)},
            "load-bearing",
            "(0, .01) and (.02, .05) do not touch: a small rise is a rise",
        ),
        ({"after": (0.09, 0.20)}, "absent", "intervals that touch are not apart"),
        ({"counts": (15, 3)}, "load-bearing", '15 is 5 times 3: "at least" holds'),
        ({"counts": (14, 3)}, "superficial", "14 is less than 5 times 3"),
        ({"counts": (499, 100)}, "superficial", "499 is less than 5 times 100"),
        ({"counts": (501, 100)}, "load-bearing", "501 is more than 5 times 100"),
        (
            {"counts": (0, 0)},
            "superficial",
            "0 is 5 times 0, but nothing corrected carries nothing",
        ),
        ({"counts": (7, 0)}, "load-bearing", "7 corrected and none spoiled: do not divide by 0"),
        (
            {"gap": (-0.02, 0.30)},
            "superficial",
            "a gap of (-.02, .30) includes 0: look at the lower end",
        ),
        (
            {"gap": (0.0, 0.30)},
            "superficial",
            "a gap whose interval begins at 0 does not lie above 0",
        ),
    ]
    for given, wanted, why in cases:
        found = verdict(student, **given)
        expect(found == wanted, f"{why}; the verdict is {wanted!r}, not {found!r}")

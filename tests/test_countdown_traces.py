"""countdown's traces: what is written is read back, broken text is read as far as it goes, attempts
are judged exactly."""

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilrm.tasks.base import SOLUTION_STYLES
from minilrm.tasks.countdown import Countdown, make_problem
from minilrm.tasks.traces import Writer
from tests.test_countdown import HARD, TASK, P, answered, drawn, oracle

repeatable = settings(derandomize=True, deadline=None, max_examples=100)


writers = st.builds(
    Writer,
    skill=st.sampled_from([0.0, 0.3, 1.0]),
    careless=st.sampled_from([0.0, 0.2, 1.0]),
    reflects=st.booleans(),
    longest=st.integers(1, 12),
)
problems = st.builds(
    lambda seed, task: task.sample(random.Random(seed), "train"),
    st.integers(0, 10_000),
    st.sampled_from([TASK, HARD, Countdown(2, 9)]),
)


@repeatable
@given(problems, writers, st.integers(0, 10_000))
def test_what_is_written_is_read_back(problem, writer, seed):
    """Caught: false sums in the corpus, an attempt made twice, a right one rejected, an answer that
    is not the last attempt."""
    text = TASK.write(problem, random.Random(seed), writer)
    assert text == TASK.write(problem, random.Random(seed), writer)
    trace = TASK.parse_trace(text)
    assert trace.well_formed and len(trace.attempts) == text.count("ok") + text.count("no")
    assert trace.reflections == text.count("wait") == len(trace.attempts) - 1
    assert len({a.content for a in trace.attempts}) == len(trace.attempts) <= writer.longest
    right = [TASK.attempt_right(problem, a) for a in trace.attempts]
    assert all(a.accepted for a, good in zip(trace.attempts, right, strict=True) if good)
    assert not any(a.accepted for a in trace.attempts[:-1])
    if writer.reflects and len(trace.attempts) < writer.longest:
        assert trace.attempts[-1].accepted
    if not writer.reflects:
        assert len(trace.attempts) == 1
    grade = TASK.grade(problem, text)
    assert grade.formatted and grade.correct == right[-1] and TASK.thinks(text)
    assert grade.reason in ("right", "wrong value")  # a wrong answer still uses each number once
    for a, op, b, c in re.findall(r"(\d+)([-+*/])(\d+)=(\d+)", text):
        assert oracle(f"{a}{op}{b}")[0] == int(c)


def test_who_tries_everything_still_never_repeats_himself():
    """Two ones can be combined in four ways; whoever is to fail eight times succeeds when the wrong
    ones run out."""
    trace = TASK.parse_trace(
        TASK.write(make_problem([1, 1], 2), random.Random(0), Writer(0, 0, True, 8))
    )
    assert [a.content for a in trace.attempts][-1] == "1+1=2"
    assert sorted(a.content for a in trace.attempts) == ["1*1=1", "1+1=2", "1-1=0", "1/1=1"]


def test_skill_and_carelessness_are_the_shares_they_say():
    rng, n = random.Random(0), 2000
    texts = [(p, TASK.write(p, rng, Writer(skill=0.4, careless=0.2))) for p in drawn(n)]
    firsts = [
        (TASK.attempt_right(p, a), a.accepted)
        for p, text in texts
        for a in TASK.parse_trace(text).attempts[:1]
    ]
    wrong = [accepted for right, accepted in firsts if not right]
    assert abs(sum(right for right, _ in firsts) / n - 0.4) < 0.04  # 3.6 standard errors
    assert abs(sum(wrong) / len(wrong) - 0.2) < 0.04
    assert {p.meta["target"] for p, _ in texts} > set(range(1, 90))


def test_the_first_attempt_does_not_depend_on_what_would_follow():
    """The corpus with reflection and the one without differ in nothing else."""
    for problem in drawn(30):
        alone, on = (
            TASK.write(problem, random.Random(5), Writer(0, 0, reflects))
            for reflects in (False, True)
        )
        assert on.startswith(alone.partition("\n")[0])


@repeatable
@given(problems, writers, st.data())
def test_a_trace_cut_anywhere_gives_what_was_whole(problem, writer, data):
    """Caught: half a number read as a step, a missing verdict read as one."""
    text = TASK.write(problem, random.Random(1), writer)
    whole = TASK.parse_trace(text).attempts
    cut = text[: data.draw(st.integers(0, len(text) - 1))]
    trace = TASK.parse_trace(cut)
    judged = [a for a in trace.attempts if a.accepted is not None]
    assert not trace.well_formed and judged == list(whole[: len(judged)])
    assert len(trace.attempts) - len(judged) in (0, 1)
    for attempt in trace.attempts[len(judged) :]:
        written = re.findall(
            r"[^ ,]+=[0-9]+", text[whole[len(judged)].start : whole[len(judged)].end]
        )
        assert all(
            step in written for step in re.findall(r"[^ ,]+", cut[attempt.start : attempt.end])
        )


BROKEN = {
    # a comma for the line break
    " 25-7=18, 18+4=22 no, wait, 4*7=28, 28+25=53 ok\n<answer>4*7+25</answer>": (2, 1),
    # tries again without the word
    " 25-7=18, 18+4=22 no\n4*7=28, 28+25=53 ok\n<answer>4*7+25</answer>": (2, 0),
    "25-7=18, 18+4=22 no\n<answer>25-7+4</answer>": (1, 0),
    " 25-7=18, 18+4=22 no\n<answer>25-7+4</answer>.": (1, 0),
    " 25-7=18, 18+4=22 no\n<answer></answer>": (1, 0),
    " 25-7=18, 18+4=22 no\nwait, ": (1, 0),
    " 25-7=18, 18+4=22\n<answer>25-7+4</answer>": (1, 0),
    " 25-7=18\n<answer>25-7</answer>": (1, 0),
    " 25-7=18, no\n<answer>25-7+4</answer>": (1, 0),
    " 25-7=18, 18+4=22 nothing": (1, 0),
    " 25 - 7 = 18 ok\n<answer>25-7</answer>": (0, 0),
    " ٤*٧=28 ok\n<answer>4*7</answer>": (0, 0),
    " 4**7=28 ok\n<answer>4*7</answer>": (0, 0),
    " wait, 4*7=28 ok\n": (1, 1),
    "": (0, 0),
    "wait, wait, wait, ": (0, 0),
    "\n<answer>4*7+25</answer>no": (0, 0),
}


@pytest.mark.parametrize("text", BROKEN)
def test_broken_traces(text):
    trace = TASK.parse_trace(text)
    assert (len(trace.attempts), trace.reflections) == BROKEN[text] and not trace.well_formed
    assert TASK.thinks(text) == bool(trace.attempts)


@pytest.mark.parametrize(
    "text",
    [
        "4*7=28, " * 30_000,
        " 4*7=28 no\nwait, " * 30_000,
        "wait, " * 50_000,
        "\n" * 200_000,
        " 4*7=" + "1" * 200_000,
        "<answer>" * 30_000,
        " 1-1=0 ok\n<answer>" + "(" * 200_000,
    ],
    ids=lambda text: ascii(text[:18]),
)
def test_long_nonsense_is_read_at_once(text):
    """Something quadratic would take minutes here. Numbers of thousands of digits would also raise
    in int()."""
    trace = TASK.parse_trace(text)
    assert not trace.well_formed and not TASK.grade(P, text).correct
    assert not any(TASK.attempt_right(P, attempt) for attempt in trace.attempts[:100])


@repeatable
@given(st.text(alphabet="0123456789+-*/=, \nwaitokno<>answer/", max_size=80))
def test_reading_traces_is_total(text):
    for attempt in TASK.parse_trace(text).attempts:
        assert 0 <= attempt.start < attempt.end <= len(text) and attempt.content
        assert TASK.attempt_right(P, attempt) in (True, False)


def attempt_of(text: str):
    return TASK.parse_trace(f" {text} ok").attempts[0]


@pytest.mark.parametrize(
    "text, right",
    [
        ("4*7=28, 28+25=53", True),
        ("7*4=28, 25+28=53", True),
        ("4*7=27, 27+25=52", False),
        ("4*7=27, 27+25=53", False),  # a false sum, and two
        ("28+25=53, 4*7=28", False),  # uses 28 before it is made
        ("4*7=28", False),
        ("28+25=53", False),
        ("4*7=28, 28+25=53, 53+0=53", False),
        ("4*7=28, 28+26=54", False),
        ("4*7=28, 4*7=28", False),
        ("7*7=49, 49+4=53", False),
        ("25-7=18, 18+4=22", False),
        ("4*7=28, 25+28=053", False),
        ("25/0=0, 4*7=28", False),
    ],
)
def test_attempts_are_judged_exactly(text, right):
    assert TASK.attempt_right(P, attempt_of(text)) is right


@pytest.mark.parametrize(
    ("text", "fails"),
    [
        ("4*7=28, 28+25=53", False),
        ("25-7=18, 18+4=22", True),
        ("25-7=18, 18+4=53", False),
        ("4*7=28, 28+25=153", True),
        ("4*9=36, 36+17=53", False),
    ],
)
def test_the_check_compares_what_came_out_with_the_target(text, fails):
    """It is blind to a false sum, or to a number nobody gave, that ends in the target."""
    assert TASK.fails_check(P, attempt_of(text)) is fails


def test_an_attempt_must_use_all_numbers():
    problem = make_problem([1, 4, 7], 11)
    assert TASK.attempt_right(problem, attempt_of("4*1=4, 4+7=11")) and not TASK.attempt_right(
        problem, attempt_of("4+7=11")
    )


def test_zero_divides_nothing():
    """Caught: the test a == b * c alone, by which 0/0 is whatever one likes."""
    attempt = attempt_of("5-5=0, 3-3=0, 0/0=24")
    assert not TASK.attempt_right(make_problem([5, 5, 3, 3], 24), attempt)


def test_contents_name_attempts():
    """Independent steps may come in any order, dependent ones not; also where a result equals a
    number given (4 = 2+2)."""
    same = ["2+2=4, 4*5=20, 20+4=24", "4*5=20, 2+2=4, 4+20=24"]
    other = ["2+2=4, 5*4=20, 20*4=80", "20+4=24, 4*5=20, 2+2=4", "2*2=4, 4*5=20, 20+4=24"]
    assert len({attempt_of(text).content for text in same}) == 1
    assert len({attempt_of(text).content for text in same + other}) == 1 + len(other)
    p = make_problem([2, 2, 4, 5], 24)
    assert [TASK.attempt_right(p, attempt_of(text)) for text in same + other] == [
        True,
        True,
        False,
        False,
        True,
    ]
    # the last result is the one that counts
    assert attempt_of("9-9=0, 5+3=8").content != attempt_of("5+3=8, 9-9=0").content


def test_solutions():
    rng = random.Random(3)
    for problem in drawn(20) + drawn(5, "ood"):
        text = {style: TASK.solution(problem, rng, style) for style in SOLUTION_STYLES}
        traces = {style: TASK.parse_trace(text[style]) for style in text}
        assert all(trace.well_formed for trace in traces.values())
        assert [len(traces[style].attempts) for style in SOLUTION_STYLES] == [0, 1, 1, 2]
        assert [TASK.grade(problem, text[style]).correct for style in SOLUTION_STYLES] == [
            True,
            False,
            True,
            True,
        ]
        assert [TASK.thinks(text[style]) for style in SOLUTION_STYLES] == [False, True, True, True]
        assert [a.accepted for a in traces["plan_verify"].attempts] == [False, True] and traces[
            "careless"
        ].attempts[0].accepted
    with pytest.raises(ValueError, match="guess"):
        TASK.solution(P, rng, "guess")


# ---- text


def test_tokens_and_text(tokenizer):
    """The tags are one token each in the corpus, and come back as text; the longest trace fits the
    task's limit."""
    assert (
        TASK.grade(
            P, tokenizer.decode(tokenizer.encode(answered("4*7+25"), allow_special=True))
        ).reason
        == "right"
    )
    # line break, tag, digit, tag
    assert len(tokenizer.encode(answered("4"), allow_special=True)) == 4
    rng, never = random.Random(0), Writer(skill=0, careless=0, reflects=True, longest=8)
    for task in (TASK, HARD):
        texts = [task.write(p, rng, never) for p in drawn(40, "train", task)]
        ids = [tokenizer.encode(text, allow_special=True) for text in texts]
        assert (
            max(map(len, ids)) < task.max_new_tokens and [tokenizer.decode(i) for i in ids] == texts
        )
        assert all(tokenizer.special_ids["<answer>"] in i for i in ids)

"""Multiplication: what its writers put down, what the parser reads back, and how far casting out
nines can be trusted."""

import doctest
import importlib.util
import json
import random
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilrm import machine
from minilrm.errors import UserError
from minilrm.tasks import get_task, multiplication, split_of
from minilrm.tasks.base import Problem
from minilrm.tasks.gsm8k import GSM8K
from minilrm.tasks.multiplication import (
    ANSWER,
    CHECK,
    LEAD,
    WORK,
    Multiplication,
    Work,
    fresh_attempt,
    multiply,
    parse_trace,
    passes,
    pose,
    slip,
    write_attempt,
    write_trace,
)
from minilrm.tasks.traces import Writer

repeatable = settings(derandomize=True, deadline=None, max_examples=100)
ROOT = Path(__file__).resolve().parent.parent
SPLITS = ("train", "validation", "test", "ood")
TASK = Multiplication()

firsts = st.integers(10, 99_999)
seconds = st.integers(12, 99).filter(lambda b: b % 10)
seeds = st.integers(0, 2**32)
writers = st.builds(
    Writer,
    skill=st.sampled_from((0.0, 0.4, 1.0)),
    careless=st.sampled_from((0.0, 0.05, 1.0)),
    reflects=st.booleans(),
    longest=st.integers(1, 12),
)


def residue(number):
    """Nines cast out as on paper: digits summed until one is left, and 9 is as good as 0."""
    while number > 9:
        number = sum(int(digit) for digit in str(number))
    return number % 9


# -- problems --------------------------------------------------------------------------------------


def test_the_examples_in_the_docstrings_hold():
    assert (
        doctest.testmod(multiplication).attempted > 5
        and doctest.testmod(multiplication).failed == 0
    )


def test_a_problem_word_for_word():
    problem = pose(347, 86)
    assert TASK.render(problem) == "Question: What is 347 * 86?\nAnswer:"
    assert (
        TASK.solution(problem, random.Random(0))
        == " 347*86=27760+2082=29842~25~7, 14~5 14~5 5*5~7 ok\n#### 29842"
    )
    assert TASK.solution(problem, random.Random(0), "reflex") == " #### 29842"


@repeatable
@given(firsts, seconds)
def test_answers_are_products_and_a_key_does_not_care_for_the_order(a, b):
    problem = pose(a, b)
    assert int(problem.answer) == a * b and problem.key == pose(b, a).key
    assert Problem(**json.loads(json.dumps(asdict(problem)))) == problem


@pytest.mark.parametrize("digits", [2, 3, 4])
def test_factors_have_the_digits_asked_for_and_need_two_rows(digits):
    task, rng = Multiplication(digits), random.Random(0)
    for split in SPLITS:
        for _ in range(100):
            a, b = task.sample(rng, split).meta["factors"]
            assert len(str(a)) == digits + (split == "ood") and 12 <= b <= 99 and b % 10


def test_each_problem_lies_in_one_split_and_ood_in_none():
    """80 : 10 : 10 of 72,000 products: too many to learn by heart."""
    keys = {split: set() for split in SPLITS}
    for b in range(12, 100):
        for a in range(100, 1000):
            if b % 10:
                keys[split_of(f"multiply:{b}*{a}")].add(f"multiply:{b}*{a}")
    assert {split: len(found) for split, found in keys.items()} == {
        "train": 57_635,
        "validation": 7_178,
        "test": 7_187,
        "ood": 0,
    }
    for split in SPLITS[:3]:
        assert {problem.key for problem in TASK.make(split, 200)} <= keys[split]
    assert not {problem.key for problem in TASK.make("ood", 200)} & set().union(*keys.values())


def test_same_seed_same_problems_and_traces():
    def draw(seed):
        rng = random.Random(seed)
        return [
            (problem, TASK.write(problem, rng, Writer(reflects=True)))
            for problem in (TASK.sample(rng, split) for split in SPLITS for _ in range(20))
        ]

    assert draw(1) == draw(1) != draw(2)
    assert (
        TASK.problems("train", 20, seed=3)
        == TASK.problems("train", 20, seed=3)
        != TASK.problems("train", 20, seed=4)
    )


def test_what_cannot_be_is_refused():
    for digits in (1, 5, -3, 2.5, "3", True):
        with pytest.raises(UserError, match="digits must be 2 to 4"):
            get_task("multiplication", digits=digits)
    with pytest.raises(UserError, match="has no split 'tset'"):
        TASK.sample(random.Random(0), "tset")
    with pytest.raises(ValueError, match="guess"):
        TASK.solution(pose(347, 86), random.Random(0), "guess")
    with pytest.raises(UserError, match="finds only .* different test problems, not 450"):
        Multiplication(2).problems("test", 450)


# -- attempts --------------------------------------------------------------------------------------


@repeatable
@given(firsts, seconds)
def test_right_work_is_long_multiplication(a, b):
    work = multiply(a, b)
    assert work == Work(a, b, a * (b // 10) * 10, a * (b % 10), a * b) and passes(work)


@repeatable
@given(firsts, seconds, seeds)
def test_a_slip_is_in_one_place_and_carried_on(a, b, seed):
    """A slip that later steps repair, or two of them, would leave a right answer or an error that
    nobody made."""
    work, right = slip(a, b, random.Random(seed)), multiply(a, b)
    wrong = [work.tens != right.tens, work.ones != right.ones, work.result != work.tens + work.ones]
    assert wrong.count(True) == 1 and work.result != right.result
    assert min(work.tens, work.ones, work.result) > 0 and work.tens % 10 == 0
    off = str(abs(work.result - right.result)).rstrip("0")
    assert off in "123456789" and passes(work) == (off == "9")


@repeatable
@given(firsts, seconds, seeds, st.booleans())
def test_remainders_are_those_of_what_stands_there(a, b, seed, accepted):
    """Against the sum of digits. Remainders of the *right* product under a wrong result would make
    every check pass."""
    work = slip(a, b, random.Random(seed))
    text = write_attempt(work, accepted)
    result, factors = text.removesuffix(" ok").removesuffix(" no").split(", ")
    digit_sum = sum(int(digit) for digit in str(work.result))
    assert (
        result
        == f"{a}*{b}={work.tens}+{work.ones}={work.result}~{digit_sum}~{residue(work.result)}"
    )
    sums = [sum(map(int, str(factor))) for factor in (a, b)]
    assert factors == (
        f"{sums[0]}~{residue(a)} {sums[1]}~{residue(b)} "
        f"{residue(a)}*{residue(b)}~{residue(residue(a) * residue(b))}"
    )
    assert passes(work) == (result[-1] == factors[-1]) and text.endswith(
        " ok" if accepted else " no"
    )


def test_one_slip_in_nine_escapes_the_check():
    rng = random.Random(0)
    slips = [slip(*TASK.sample(rng).meta["factors"], rng) for _ in range(6000)]
    assert abs(sum(map(passes, slips)) / 6000 - 1 / 9) < 0.015
    right = [multiply(work.a, work.b) for work in slips]
    share = Counter(
        (work.tens != r.tens) * 1 + (work.ones != r.ones) * 2
        for work, r in zip(slips, right, strict=True)
    )
    assert all(abs(share[step] / 6000 - 1 / 3) < 0.03 for step in (0, 1, 2))


def test_the_right_number_stays_the_likeliest():
    """A writer of skill 0 aside, no slip may be as frequent as the right result: greedy decoding
    must be able to find it."""
    rng = random.Random(0)
    tries = Counter(fresh_attempt(347, 86, rng, 0.4, set()) for _ in range(6000))
    (best, count), (_, next_best) = tries.most_common(2)
    assert best == multiply(347, 86) and abs(count / 6000 - 0.4) < 0.03 and next_best < 0.05 * 6000


@pytest.mark.parametrize("skill", [0.0, 0.4, 0.8, 1.0])
def test_skill_is_the_share_of_right_attempts(skill):
    """Of first attempts and of later ones alike: a writer who learnt from each failure would teach
    something else."""
    rng, right = random.Random(1), ([], [])
    for _ in range(1500):
        problem = TASK.sample(rng)
        attempts = TASK.parse_trace(TASK.write(problem, rng, Writer(skill, 0.0, True, 4))).attempts
        for i, attempt in enumerate(attempts):
            right[i > 0].append(TASK.attempt_right(problem, attempt))
    for found in right:
        assert not found or abs(sum(found) / len(found) - skill) < 0.04


# -- writers ---------------------------------------------------------------------------------------


@repeatable
@given(firsts, seconds, seeds, writers)
def test_what_is_written_is_read_back(a, b, seed, writer):
    problem = pose(a, b)
    text = TASK.write(problem, random.Random(seed), writer)
    trace = TASK.parse_trace(text)
    results = [int(attempt.content.split("=")[-1]) for attempt in trace.attempts]
    assert trace.well_formed and trace.reflections == len(trace.attempts) - 1 and TASK.thinks(text)
    assert [TASK.attempt_right(problem, attempt) for attempt in trace.attempts] == [
        r == a * b for r in results
    ]
    assert TASK.grade(problem, text).correct == (results[-1] == a * b)
    for attempt in trace.attempts:
        assert text[attempt.start : attempt.end].startswith(attempt.content + "~")
        assert text[attempt.start : attempt.end].endswith(" ok" if attempt.accepted else " no")


@repeatable
@given(firsts, seconds, seeds, writers)
def test_who_goes_on_and_who_stops(a, b, seed, writer):
    """Only who reflects goes on, only after a "no", never with the same attempt, and up to the
    longest at most."""
    attempts = TASK.parse_trace(TASK.write(pose(a, b), random.Random(seed), writer)).attempts
    assert not any(attempt.accepted for attempt in attempts[:-1])
    assert len({attempt.content for attempt in attempts}) == len(attempts) <= writer.longest
    if not writer.reflects:
        assert len(attempts) == 1
    elif len(attempts) < writer.longest:
        assert attempts[-1].accepted
    if writer.careless == 1:
        assert attempts[0].accepted


@repeatable
@given(firsts, seconds, seeds)
def test_the_check_fails_where_the_remainders_would_differ(a, b, seed):
    problem, rng = pose(a, b), random.Random(seed)
    for work in (multiply(a, b), slip(a, b, rng), slip(a, b, rng)):
        attempt = TASK.parse_trace(write_trace([(work, True)])).attempts[0]
        assert TASK.fails_check(problem, attempt) == (not passes(work))


@repeatable
@given(firsts, seconds, seeds)
def test_the_verdict_follows_the_check_unless_careless(a, b, seed):
    problem, rng = pose(a, b), random.Random(seed)
    for careless in (0.0, 1.0):
        for attempt in TASK.parse_trace(
            TASK.write(problem, rng, Writer(0.2, careless, True))
        ).attempts:
            same = (int(attempt.content.split("=")[-1]) - a * b) % 9 == 0
            assert attempt.accepted == (same or careless == 1)


def test_the_first_attempt_does_not_depend_on_who_reflects():
    """Else a corpus with reflection and its control would differ in more than reflection."""
    for seed in range(200):
        texts = [
            TASK.write(pose(347, 86), random.Random(seed), Writer(reflects=reflects))
            for reflects in (False, True)
        ]
        assert len({parse_trace(text).attempts[0] for text in texts}) == 1


def test_writers_that_run_out_of_slips_come_to_an_end():
    writer = Writer(skill=0.0, careless=0.0, reflects=True, longest=10**6)
    trace = parse_trace(TASK.write(pose(10, 12), random.Random(0), writer))
    assert trace.attempts[-1].accepted and trace.well_formed and len(trace.attempts) < 200


def test_solutions():
    rng = random.Random(5)
    for _ in range(200):
        problem = TASK.sample(rng)
        read = {
            style: TASK.solution(problem, rng, style)
            for style in ("reflex", "careless", "steps", "plan_verify")
        }
        seen = {
            style: [
                (TASK.attempt_right(problem, a), a.accepted)
                for a in TASK.parse_trace(text).attempts
            ]
            for style, text in read.items()
        }
        assert seen == {
            "reflex": [],
            "careless": [(False, True)],
            "steps": [(True, True)],
            "plan_verify": [(False, False), (True, True)],
        }
        for style, text in read.items():
            grade = TASK.grade(problem, text)
            assert grade.formatted and grade.correct == (style != "careless"), text
            assert TASK.thinks(text) == (style != "reflex") and TASK.separator not in text


# -- the parser on text that no writer would write -------------------------------------------------

FIRST = " 47*86=3760+292=4052~11~2, 11~2 14~5 2*5~1 no"
SECOND = "\nwait, 47*86=3760+282=4042~10~1, 11~2 14~5 2*5~1 ok"
END = "\n#### 4042"


def test_a_trace_cut_anywhere_is_read_as_far_as_it_goes():
    """A result cut inside its digits would be another number: it counts only when something stands
    behind it."""
    whole = FIRST + SECOND + END
    for cut in range(len(whole)):
        trace = parse_trace(whole[:cut])
        read = [(a.content, a.accepted) for a in trace.attempts]
        first = [("47*86=3760+292=4052", False if cut >= len(FIRST) else None)]
        second = [("47*86=3760+282=4042", True if cut >= len(FIRST + SECOND) else None)]
        at_second = cut >= len(FIRST) + SECOND.index("~") + 1
        assert read == (first if cut > FIRST.index("~") else []) + (second if at_second else [])
        assert trace.reflections == int(at_second)
        assert trace.well_formed == (
            whole[:cut].count("####") == 1 and cut > whole.index("#### ") + 5
        )


@pytest.mark.parametrize(
    "text, attempts, reflections",
    [
        ("", 0, 0),
        (" #### 4042", 0, 0),
        ("wait, ", 0, 0),
        ("noise" + FIRST + END, 0, 0),
        # tries again without saying so
        (FIRST + "\n" + SECOND.removeprefix("\nwait, ") + END, 2, 0),
        (FIRST + "\n" + SECOND + END, 1, 0),
        (FIRST + SECOND + END + "\n", 2, 1),
        (FIRST + SECOND + END + END, 2, 1),
        (FIRST + SECOND, 2, 1),
        (FIRST + SECOND.replace("wait", "Wait") + END, 1, 0),
        (FIRST.replace(" no", " yes") + END, 1, 0),
        (FIRST.replace(" no", " nor") + END, 1, 0),
        (FIRST.replace("4052", "4" * 13) + END, 0, 0),
        (FIRST.replace("47", "４７") + END, 0, 0),
        (FIRST.replace("~11~", "~111~") + END, 1, 0),
        (FIRST[1:] + END, 1, 0),
        ("\nwait, " + FIRST[1:] + END, 1, 1),
    ],
)
def test_what_is_not_well_formed(text, attempts, reflections):
    trace = parse_trace(text)
    assert (len(trace.attempts), trace.reflections, trace.well_formed) == (
        attempts,
        reflections,
        False,
    )


def test_one_attempt_in_two_spellings_is_one_attempt():
    spelt = parse_trace(" 047*86=03760+282=04042~10~1, 11~2 14~5 2*5~1 ok").attempts[0]
    assert spelt.content == "47*86=3760+282=4042" and TASK.attempt_right(pose(47, 86), spelt)
    assert not TASK.attempt_right(pose(48, 86), spelt)


pieces = st.sampled_from(
    [
        FIRST,
        SECOND,
        END,
        " ",
        "\n",
        "wait, ",
        "47*86=",
        "3760+282=",
        "4042",
        "~10~1",
        ", 11~2 14~5 2*5~1",
        " ok",
    ]
)


@repeatable
@given(
    st.one_of(
        st.text(), st.text(alphabet="0123456789*+=~, \nwaitokn#"), st.lists(pieces).map("".join)
    )
)
def test_parser_and_grader_are_total(text):
    trace = parse_trace(text)
    ends = [0]
    for attempt in trace.attempts:
        assert (
            ends[-1] <= attempt.start < attempt.end <= len(text)
            and text[attempt.start] in "0123456789"
        )
        ends.append(attempt.end)
        assert isinstance(TASK.attempt_right(pose(47, 86), attempt), bool)
    assert trace.reflections <= len(trace.attempts) and (trace.attempts or not trace.well_formed)
    assert all(attempt.accepted is not None for attempt in trace.attempts[:-1])
    assert isinstance(TASK.thinks(text), bool) and TASK.grade(pose(47, 86), text).reason


def test_the_parser_is_linear():
    """Each pattern looks at a bounded stretch of text: where a number is too long or a match fails,
    nothing is repeated."""
    spans = {
        WORK: "1" * 10**6,
        CHECK: "~" + "1" * 10**6,
        LEAD: " " * 10**6,
        ANSWER: "\n#### " + "1" * 10**6,
    }
    for pattern, text in spans.items():
        match = pattern.match(text)
        assert match is None or match.end() < 100
    assert not re_has_unbounded_repetition()
    assert len(parse_trace(FIRST + SECOND * 5000).attempts) == 5001


def re_has_unbounded_repetition():
    return any(
        sign in pattern.pattern.replace(r"\*", "").replace(r"\+", "")
        for pattern in (WORK, CHECK, LEAD, ANSWER)
        for sign in "*+"
    )


# -- the shipped files -----------------------------------------------------------------------------

FOLDER = ROOT / "data" / "multiplication"


def lines(split):
    return (FOLDER / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("split", ["test", "ood"])
def test_the_shipped_files_can_be_made_again(split):
    """If this fails because the task poses other problems: python scripts/make_data.py, and
    measure anew."""
    spec = importlib.util.spec_from_file_location("made", ROOT / "scripts" / "make_data.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert lines(split) == script.lines("multiplication", split, 1000)
    assert TASK.problems(split, 1000) == TASK.make(split, 1000)
    assert len({problem.key for problem in TASK.problems(split, 1000)}) == 1000


def test_any_reader_of_gsm8k_files_can_read_them():
    for problem in GSM8K(FOLDER / "test.jsonl", split_all=True).problems("test", 20):
        a, b = problem.meta["factors"]
        assert (
            int(problem.answer) == a * b
            and TASK.parse_trace(" " + problem.meta["solution"]).well_formed
        )


def test_other_options_another_seed_or_no_file_are_made_anew(tmp_path, monkeypatch):
    assert (
        TASK.problems("test", 5, seed=1) == TASK.make("test", 5, seed=1) != TASK.problems("test", 5)
    )
    assert Multiplication(2).problems("test", 5) == Multiplication(2).make("test", 5)
    assert len(TASK.problems("test", 1001)) == 1001
    expected = TASK.problems("test", 5)
    monkeypatch.setenv("MINILRM_DATA", str(tmp_path))
    assert machine.data_folder() == tmp_path and TASK.problems("test", 5) == expected


@pytest.mark.parametrize(
    "change", [{"factors": [347]}, {"factors": [347, 87]}, {"factors": "34"}, {}]
)
def test_a_file_of_other_problems_says_what_to_do(tmp_path, monkeypatch, change):
    record = {**TASK.to_record(pose(347, 86)), "meta": change}
    (tmp_path / "multiplication").mkdir()
    (tmp_path / "multiplication" / "test.jsonl").write_text(json.dumps(record) + "\n")
    monkeypatch.setenv("MINILRM_DATA", str(tmp_path))
    with pytest.raises(UserError, match="make_data.py --task multiplication"):
        TASK.problems("test", 1)


# -- tokens ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("digits", [2, 3, 4])
def test_no_six_attempts_are_cut_by_the_limit(tokenizer, digits):
    """In `ood` neither, where all is longer: a limit below the longest trace would count a slow
    writer as a failure."""
    task, rng, writer = Multiplication(digits), random.Random(0), Writer(0.0, 0.0, True, 6)
    problems = [task.sample(rng, "ood") for _ in range(200)] + [
        pose(10 ** (digits + 1) - 1, 99)
    ] * 50
    # 1: the end of text
    costs = [len(tokenizer.encode(task.write(problem, rng, writer))) + 1 for problem in problems]
    assert task.max_new_tokens - 20 < max(costs) <= task.max_new_tokens


def test_an_attempt_is_short(tokenizer):
    rng = random.Random(0)
    for problem in (TASK.sample(rng) for _ in range(200)):
        assert len(tokenizer.encode(TASK.render(problem))) == 17
        assert len(tokenizer.encode(TASK.solution(problem, rng))) <= 58

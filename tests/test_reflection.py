"""Reflection counted on hand-made traces whose figures are known. (Taken away, and judged:
test_reflection_ablation.py.)

Each test of a figure names the mistake that it catches; most are mistakes of the denominator.
"""

import doctest
import json
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilrm import reflection
from minilrm.errors import UserError
from minilrm.intervals import TOO_FEW, rate, wilson_interval
from minilrm.reflection import reading
from minilrm.rollout import Episode
from minilrm.tasks import Grade, Problem, TracedTask, get_task, traced_tasks
from minilrm.tasks.traces import Attempt, Trace

TRACED = traced_tasks()


class Toy(TracedTask):
    """Guess a number: " 3 no", then perhaps "\\nwait, 7 ok", then "\\n<answer>7</answer>"."""

    name, max_new_tokens, mark = "toy", 24, "<answer>"

    def sample(self, rng, split="train"):
        return problem(rng.randrange(10**9))

    def render(self, problem, style="plain", examples=()):
        return f"Question: {problem.prompt}\nAnswer:"

    def parse_trace(self, text):
        attempts, reflections, at = [], 0, 0
        while found := re.compile(r"(\s|\nwait, )([0-9])( ok| no|$)").match(text, at):
            attempts.append(
                Attempt(
                    found.start(2), found.end(), found[2], {" ok": True, " no": False}.get(found[3])
                )
            )
            reflections, at = reflections + ("wait" in found[1]), found.end()
        return Trace(
            tuple(attempts),
            reflections,
            bool(attempts and re.fullmatch(r"\n<answer>[0-9]</answer>", text[at:])),
        )

    def attempt_right(self, problem, attempt):
        return attempt.content == problem.answer

    @classmethod
    def after_answer(cls, text):
        return text.partition("</answer>")[2]

    def grade(self, problem, completion):
        found = re.search(r"<answer>(.*)</answer>", completion)
        correct = found is not None and found[1] == problem.answer
        return Grade(correct, found is not None, found and found[1], "")


TOY = Toy()
RIGHT = 7


def problem(i):
    return Problem("toy", f"number {i}?", str(RIGHT), f"toy:{i}")


def trace(*tries, answer):
    """trace("3no", "7ok", answer=7) is " 3 no\\nwait, 7 ok\\n<answer>7</answer>"."""
    return (
        " "
        + "\nwait, ".join(f"{t[0]} {t[1:]}" for t in tries)
        + (f"\n<answer>{answer}</answer>" if answer else "")
    )


def episode(text, key=0, *, finish="eos", logprobs=(-1.0, -3.0), mask=None, task=TOY, asked=None):
    asked = asked or problem(key)
    return Episode(
        asked,
        [1],
        [5] * len(logprobs),
        list(mask or [1] * len(logprobs)),
        list(logprobs),
        text,
        finish,
        task.grade(asked, text),
        False,
    )


GIVES_UP = trace("3no", answer=3)
FINDS_IT = trace("3no", "7ok", answer=7)
AT_ONCE = trace("7ok", answer=7)
CARELESS = trace("3ok", answer=3)
SPOILS = trace("7no", "3ok", answer=3)
REFLEX = "\n<answer>7</answer>"  # no try at all, but right
BREAKS_OFF = " 3"  # no verdict


def many(*texts, times=TOO_FEW, **options):
    """Every text `times` times, each for a problem of its own."""
    return [episode(text, key, **options) for key, text in enumerate(texts * times)]


def measured(*texts, **options):
    return reflection.measures(TOY, many(*texts, **options))


def counts(figures, name):
    return figures[name]["count"], figures[name]["n"]


# -- what is read off one completion ---------------------------------------------------------------


@pytest.mark.parametrize(
    "text, first, final, retried, reflected, repeats",
    [
        (AT_ONCE, True, True, False, False, 0),
        (GIVES_UP, False, False, False, False, 0),
        (FINDS_IT, False, True, True, True, 0),
        (SPOILS, True, False, True, True, 0),
        (REFLEX, None, True, False, False, 0),
        (BREAKS_OFF, None, False, False, False, 0),
        (trace("3no", answer=7), False, True, False, False, 0),  # the answer is not the attempt's
        # tries again without the word
        (" 3 no\n7 ok\n<answer>7</answer>", False, True, True, False, 0),
        (trace("3no", "4no", "3no", "3no", "7ok", answer=7), False, True, True, True, 2),
        ("", None, False, False, False, 0),
    ],
)
def test_a_reading_says_what_a_completion_did(text, first, final, retried, reflected, repeats):
    r = reflection.read(TOY, episode(text))
    assert (r.first_right, r.final_right, r.retried, r.reflected, r.repeats) == (
        first,
        final,
        retried,
        reflected,
        repeats,
    )


def test_an_attempt_without_a_verdict_is_an_attempt_but_no_first_try():
    """Mistake: None, "no verdict", read as "no"."""
    assert reflection.read(TOY, episode(" 7")).attempts == ((True, None),)
    assert reflection.read(TOY, episode(" 7")).first_right is None
    cut_retry = reflection.read(TOY, episode(" 3 no\nwait, 7", finish="length"))
    assert (
        cut_retry.retried
        and cut_retry.first_right is False
        and cut_retry.attempts == ((False, False), (True, None))
    )


# -- denominators ----------------------------------------------------------------------------------


def test_the_retry_rate_is_of_failed_first_tries():
    """Mistake: retries over all completions. Here 1 in 2 of those that fail tries again, and 1 in 3
    of all."""
    figures = measured(FINDS_IT, GIVES_UP, AT_ONCE)
    assert counts(figures, "retry_rate") == (20, 40) and figures["retry_rate"]["rate"] == 0.5


def test_a_retry_after_a_right_try_is_no_retry_after_failing():
    """Mistake: all retries over failed first tries, so that a model that doubts right tries seems
    to mend wrong ones."""
    assert counts(measured(SPOILS, GIVES_UP), "retry_rate") == (0, 20)


def test_an_unreadable_first_try_is_no_failed_one():
    """Mistake: noise, answers without a try and texts that break off in the first try counted as
    failures to retry."""
    assert counts(measured(FINDS_IT, REFLEX, BREAKS_OFF, "noise"), "retry_rate") == (20, 20)


def test_a_retry_needs_no_word_and_a_word_is_no_retry():
    """Mistake: counting the word. With it banned, a model may still try again, and that must
    show."""
    figures = measured(" 3 no\n7 ok\n<answer>7</answer>", " 3 no\nwait, wait, <answer>3</answer>")
    assert counts(figures, "retry_rate") == (20, 40)
    assert counts(figures, "reflection_rate") == (0, 40)


def test_the_reflection_rate_is_of_completions():
    """Mistake: words per completion, which one long trace can drive above 1."""
    assert counts(
        measured(trace("1no", "2no", "3no", "7ok", answer=7), AT_ONCE), "reflection_rate"
    ) == (20, 40)


def test_first_try_accuracy_is_of_all_completions():
    """Mistake: over readable first tries only, which makes a model that mostly babbles look
    good."""
    assert counts(measured(AT_ONCE, GIVES_UP, REFLEX, "noise"), "first_try_accuracy") == (20, 80)


def test_final_accuracy_is_that_of_the_answer():
    """Mistake: taking the last attempt for the answer."""
    assert counts(
        measured(trace("7ok", answer=3), trace("3no", answer=7), REFLEX), "final_accuracy"
    ) == (40, 60)


def test_corrected_and_spoiled_need_a_first_try():
    """Mistake: counting an answer without a try, or with one that breaks off, as corrected or
    spoiled."""
    figures = measured(FINDS_IT, REFLEX, " 3\n<answer>7</answer>", " 7", "noise", times=1)
    assert (figures["corrected"], figures["spoiled"]) == (1, 0)
    assert figures["transitions"] == {
        "right": {"right": 0, "wrong": 0},
        "wrong": {"right": 1, "wrong": 0},
        "none": {"right": 2, "wrong": 2},
    }


def test_transitions_go_by_the_truth_and_not_by_the_verdict():
    """Mistake: taking the writer's "ok" for a right try."""
    figures = measured(trace("3ok", answer=7), trace("7no", answer=3), times=1)
    assert (figures["corrected"], figures["spoiled"]) == (1, 1)


def test_false_accept_is_of_wrong_attempts():
    """Mistake: over all attempts (1 in 6 here), over accepted ones (1 in 3), or over completions (1
    in 3)."""
    figures = measured(CARELESS, trace("3no", "4no", "7ok", answer=7), trace("7ok", answer=7))
    assert counts(figures, "false_accept") == (20, 60)
    figures = measured(CARELESS, trace("3no", "4no", "5no", "7ok", answer=7))
    assert counts(figures, "false_accept") == (20, 80)


def test_a_careless_accept_is_one_that_the_check_would_have_caught(monkeypatch):
    """Mistake: blaming the writer for a wrong attempt that the check cannot see (here 4), or
    counting it as a case."""
    monkeypatch.setattr(
        Toy,
        "fails_check",
        lambda self, problem, attempt: attempt.content not in (problem.answer, "4"),
    )
    figures = measured(
        trace("4ok", answer=4),
        trace("3ok", answer=3),
        trace("3no", "4no", "5no", "7ok", answer=7),
        " 3",
    )
    assert counts(figures, "careless_accept") == (20, 60) and counts(figures, "false_accept") == (
        40,
        100,
    )


def test_false_reject_is_of_right_attempts():
    """Mistake: over all attempts, or over rejected ones."""
    assert counts(measured(SPOILS, AT_ONCE, AT_ONCE, GIVES_UP), "false_reject") == (20, 60)


def test_an_attempt_without_a_verdict_accepts_and_rejects_nothing():
    """Mistake: `not None` is True, so that every trace cut before its verdict seems to reject."""
    figures = measured(AT_ONCE, GIVES_UP, " 7", " 3", " 3 no\nwait, 7", " 3 no\nwait, 4")
    assert counts(figures, "false_reject") == (0, 20) and counts(figures, "false_accept") == (0, 60)


def test_repeats_are_of_any_earlier_attempt_and_over_later_ones():
    """Mistakes: comparing neighbours only; dividing by all attempts, the first of which cannot
    repeat anything."""
    figures = measured(trace("3no", "4no", "3no", "7ok", answer=7), AT_ONCE)
    assert counts(figures, "repeated_attempts") == (20, 60)


def test_cut_traces_are_those_that_ran_into_the_limit():
    """Mistake: calling every malformed trace cut, or every one that lacks an answer."""
    figures = reflection.measures(
        TOY, many(" 3 no\nwait, 4", finish="length") + many("noise", GIVES_UP)
    )
    assert counts(figures, "cut") == (20, 60) and counts(figures, "well_formed") == (20, 60)
    assert counts(figures, "retry_rate") == (20, 40)  # a retry that was cut was begun


def test_lengths_of_right_and_wrong_answers():
    """Mistake: lengths that count inserted tokens, or by the first try instead of the answer."""
    long = many(FINDS_IT, logprobs=(-1,) * 9, mask=[1] * 8 + [0])
    figures = reflection.measures(TOY, long + many(SPOILS))
    assert (figures["mean_length_right"]["mean"], figures["mean_length_wrong"]["mean"]) == (8, 2)
    assert (
        figures["mean_length"]["mean"] == 5
        and figures["attempts"]["mean"] == 2
        and figures["tokens"] == 200
    )


def test_entropy_is_of_sampled_tokens():
    """Mistakes: inserted tokens, whose log-prob is 0, counted in; a mean of means over completions;
    an entropy at T = 0."""
    told = [
        episode(AT_ONCE, logprobs=(-2, 0), mask=(1, 0)),
        episode(AT_ONCE, 1, logprobs=(-1, -1, -1)),
    ]
    assert reflection.measures(TOY, told)["entropy"] == pytest.approx(5 / 4)
    assert reflection.measures(TOY, many(AT_ONCE, logprobs=(0, 0)))["entropy"] is None


# -- intervals and too few -------------------------------------------------------------------------


@given(st.lists(st.booleans(), min_size=TOO_FEW, max_size=60))
@settings(derandomize=True, deadline=None, max_examples=50)
def test_single_cases_have_wilsons_interval(values):
    found, expected = reflection.share([[v] for v in values]), rate(values)
    assert found["rate"] == expected["accuracy"] and found["ci"] == pytest.approx(expected["ci"])
    assert (found["count"], found["n"], found["too_few"]) == (sum(values), len(values), False)


def test_the_same_case_told_eight_times_is_one_case():
    """Mistake: taking eight samples of a problem, or eight attempts of a completion, as
    independent."""
    told = reflection.share([[True] * 8] * 10 + [[False] * 8] * 30)
    assert (told["count"], told["n"]) == (80, 320) and told["ci"] == pytest.approx(
        wilson_interval(10, 40)
    )
    assert reflection.share([[True] * 8] * 40)["ci"] == pytest.approx(wilson_interval(40, 40))
    # no harm in being even
    assert reflection.share([[True, False]] * 40)["ci"] == pytest.approx(wilson_interval(40, 80))


def test_samples_of_a_problem_are_one_cluster():
    """Mistake: intervals that get narrower by asking the same problems again."""
    groups = [
        [episode(AT_ONCE if key < 20 else CARELESS, key) for _ in range(4)] for key in range(40)
    ]
    figures = reflection.measures(TOY, groups)
    assert counts(figures, "final_accuracy") == (80, 160) and figures["problems"] == 40
    assert figures["final_accuracy"]["ci"] == pytest.approx(wilson_interval(20, 40))
    # groups or episodes: the same
    assert figures == reflection.measures(TOY, [e for g in groups for e in g])


def test_too_few_is_no_rate():
    """Mistake: "100 % (1 of 1)". The counts stay, the rate goes."""
    figures = measured(FINDS_IT, times=TOO_FEW - 1)
    assert figures["retry_rate"] == {
        "rate": None,
        "count": 19,
        "n": 19,
        "ci": None,
        "too_few": True,
    }
    assert figures["mean_length"] == {"mean": None, "n": 19, "too_few": True}
    assert measured(FINDS_IT)["retry_rate"]["rate"] == 1


def test_a_base_that_hardly_fails_has_no_retry_rate():
    figures = measured(AT_ONCE)
    assert (
        figures["retry_rate"]["too_few"]
        and figures["retry_rate"]["n"] == 0
        and not figures["final_accuracy"]["too_few"]
    )


def test_a_base_without_reflection_retries_0_of_n():
    figures = measured(GIVES_UP, AT_ONCE)
    assert figures["retry_rate"]["rate"] == 0 and counts(figures, "retry_rate") == (0, 20)


def test_nothing_is_measured_of_nothing_and_json_takes_it():
    assert (
        json.loads(json.dumps(reflection.measures(TOY, []), allow_nan=False))["final_accuracy"]["n"]
        == 0
    )


def test_a_task_without_traces_is_one_clear_line():
    arithmetic = get_task("arithmetic")
    told = episode(" #### 7", task=arithmetic, asked=arithmetic.sample(random.Random(0)))
    for call in (
        lambda: reflection.read(arithmetic, told),
        lambda: reflection.measures(arithmetic, [told]),
        lambda: reflection.highlight(arithmetic, told.problem, "7"),
        lambda: reflection.study(None, None, None, arithmetic, []),
    ):
        with pytest.raises(UserError, match="'arithmetic' has no traces.*choose") as error:
            call()
        assert "\n" not in str(error.value) and all(name in str(error.value) for name in TRACED)
    assert reflection.live(arithmetic, [[told]]) == {}


ANY = st.lists(
    st.sampled_from(
        [
            AT_ONCE,
            GIVES_UP,
            FINDS_IT,
            CARELESS,
            SPOILS,
            REFLEX,
            BREAKS_OFF,
            "",
            " 3 no\nwait, 7",
            trace("3no", "3no", "7ok", answer=7),
        ]
    ),
    min_size=1,
    max_size=60,
)


@given(ANY)
@settings(derandomize=True, deadline=None, max_examples=60)
def test_the_table_adds_up(texts):
    figures = measured(*texts, times=1)
    t = figures["transitions"]
    assert sum(sum(row.values()) for row in t.values()) == figures["n"] == len(texts)
    assert (figures["corrected"], figures["spoiled"]) == (t["wrong"]["right"], t["right"]["wrong"])
    assert figures["first_try_accuracy"]["count"] == sum(t["right"].values())
    assert figures["final_accuracy"]["count"] == sum(row["right"] for row in t.values())
    assert figures["retry_rate"]["n"] == sum(t["wrong"].values())
    assert (
        figures["final_accuracy"]["count"] - figures["first_try_accuracy"]["count"]
        == figures["corrected"] - figures["spoiled"] + t["none"]["right"]
    )


@given(ANY)
@settings(derandomize=True, deadline=None, max_examples=60)
def test_live_figures_are_the_counted_ones(texts):
    figures, shown = measured(*texts, times=1), reflection.live(TOY, [many(*texts, times=1)])
    same = ("retry_rate", "first_try_accuracy", "final_accuracy", "false_accept")
    names = {"rate": "reflection_rate", **{name: name for name in same}}
    for name, full in names.items():
        count, n = counts(figures, full)
        assert shown[f"reflection/{name}"] == (count / n if n else None)
    assert shown["reflection/attempts"] == pytest.approx(
        sum(len(TOY.parse_trace(t).attempts) for t in texts) / len(texts)
    )
    assert set(shown) == {f"reflection/{name}" for name in (*names, "attempts")}


# -- showing a completion --------------------------------------------------------------------------


def test_highlighted_pieces_are_judged_by_the_truth():
    """Mistake: colouring an attempt by its own "ok"."""
    text = " 3 ok\nwait, 7 no\n<answer>3</answer>"
    assert reflection.highlight(TOY, problem(0), text) == [
        (" ", "plain"),
        ("3 ok", "attempt-wrong"),
        ("\n", "plain"),
        ("wait,", "reflection"),
        (" ", "plain"),
        ("7 no", "attempt-right"),
        ("\n", "plain"),
        ("<answer>3</answer>", "answer"),
    ]
    cut = reflection.highlight(TOY, problem(0), " 3 ok\n<answer>3")
    assert cut[-1] == ("<answer>3", "answer")
    assert reflection.highlight(TOY, problem(0), "") == []


PIECES = ["wait", ",", " ", "\n", "7", "3", " ok", " no", "<answer>", "</answer>", "####", "é"]


@given(st.lists(st.sampled_from(PIECES)).map("".join))
@settings(derandomize=True, deadline=None, max_examples=200)
def test_highlighted_pieces_are_the_text(text):
    pieces = reflection.highlight(TOY, problem(0), text)
    assert "".join(piece for piece, _ in pieces) == text and all(piece for piece, _ in pieces)


def test_examples():
    assert doctest.testmod(reading).failed == 0

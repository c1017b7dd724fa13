"""Figures and their intervals: checked against enumeration and simulation; and evaluation from end
to end, on a random model, where nothing is known but everything must be consistent."""

import json
import math
import random
import re
from dataclasses import replace
from itertools import combinations, product

import pytest
import torch

from minilrm import checkpoint, evaluate, intervals, machine, measure
from minilrm.cli import run_command
from minilrm.errors import UserError
from minilrm.files import json_ready
from minilrm.intervals import (
    calibration,
    crossed_bootstrap,
    majority,
    majority_at_k,
    mean,
    paired_bootstrap,
    pass_at_k,
    wilson_interval,
)
from minilrm.measure import Scores
from minilrm.model import ModelConfig, Transformer
from minilrm.rollout import Episode
from minilrm.tasks import get_task
from minilrm.tasks.base import Grade, Problem
from minilrm.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.load(machine.data_folder() / "tokenizer")


@pytest.fixture(scope="module")
def model(tokenizer):
    torch.manual_seed(0)
    return Transformer(
        ModelConfig(
            vocab_size=len(tokenizer),
            dim=32,
            n_layers=2,
            n_heads=2,
            n_kv_heads=1,
            head_dim=16,
            ffn_dim=64,
            max_seq_len=256,
        )
    )


@pytest.fixture(scope="module")
def folder(model, tokenizer, tmp_path_factory):
    return checkpoint.save(
        tmp_path_factory.mktemp("model") / "tiny",
        model,
        tokenizer,
        info=checkpoint.Info(task="gsm8k-mini"),
    )


@pytest.fixture
def task():
    return get_task("gsm8k-mini")


# -- intervals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("p, n", [(0.5, 100), (0.3, 400), (0.1, 200), (0.95, 300)])
def test_wilson_covers_the_true_rate_95_times_in_100(p, n):
    rng = random.Random(1)
    runs = 2000
    covered = 0
    for _ in range(runs):
        low, high = wilson_interval(sum(rng.random() < p for _ in range(n)), n)
        covered += low <= p <= high
    assert covered / runs == pytest.approx(0.95, abs=0.02)


def test_the_textbook_interval_would_fail_where_wilson_holds():
    """p -+ z sqrt(p(1-p)/n) is the single point 0 when nothing succeeded, and leaves [0, 1] near
    the ends."""
    low, high = wilson_interval(0, 20)
    assert low == pytest.approx(0, abs=1e-12) and high == pytest.approx(1.96**2 / (20 + 1.96**2))
    assert wilson_interval(20, 20) == (pytest.approx(1 - high), pytest.approx(1))
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_wilson_ends_solve_its_equation():
    """Its ends are the rates p0 for which the observed rate lies just z standard errors away."""
    for successes, n in ((1, 10), (37, 100), (999, 1000)):
        for p0 in wilson_interval(successes, n):
            assert (successes / n - p0) ** 2 == pytest.approx(1.96**2 * p0 * (1 - p0) / n)


def test_paired_bootstrap_agrees_with_the_normal_approximation():
    rng = random.Random(0)
    before = [int(rng.random() < 0.4) for _ in range(1000)]
    after = [x or int(rng.random() < 0.2) for x in before]
    difference, low, high = paired_bootstrap(after, before)
    gains = [x - y for x, y in zip(after, before, strict=True)]
    error = math.sqrt((mean([g * g for g in gains]) - mean(gains) ** 2) / 1000)
    assert difference == pytest.approx(mean(gains)) and difference > 0
    assert (low, high) == (
        pytest.approx(difference - 1.96 * error, abs=0.004),
        pytest.approx(difference + 1.96 * error, abs=0.004),
    )


def test_pairing_narrows_the_interval_and_equal_models_differ_by_nothing():
    rng = random.Random(0)
    a = [int(rng.random() < 0.5) for _ in range(500)]
    b = [x if rng.random() < 0.9 else 1 - x for x in a]
    _, low, high = paired_bootstrap(a, b)
    # the same results, the pairs torn apart
    _, low_mixed, high_mixed = paired_bootstrap(a, rng.sample(b, len(b)))
    assert high - low < 0.5 * (high_mixed - low_mixed)
    assert paired_bootstrap(a, a) == (0, 0, 0)
    assert paired_bootstrap(a, b) == paired_bootstrap(a, b)  # the seed is fixed
    with pytest.raises(ValueError):
        paired_bootstrap([1, 0], [1])


def test_seeds_that_disagree_widen_the_interval_and_single_ones_do_not():
    """Mistakes: seeds averaged first, as if there were no other trainings; problems of the two arms
    drawn apart."""
    rng = random.Random(0)
    base = [int(rng.random() < 0.5) for _ in range(500)]
    better = [x or int(rng.random() < 0.3) for x in base]
    one, paired = crossed_bootstrap([better], [base]), paired_bootstrap(better, base)
    assert one == pytest.approx(paired, abs=0.006)
    agree = crossed_bootstrap([better] * 3, [base] * 3)
    assert agree[1:] == pytest.approx(paired[1:], abs=0.006)
    differ = crossed_bootstrap([base, base, better], [base])
    assert differ[0] == pytest.approx(paired[0] / 3) and differ[1] == pytest.approx(0, abs=0.02)
    assert differ[2] - differ[1] > 2 * (paired[2] - paired[1])
    for bad in ([], [[]], [1, 0], [[1, 0, 1]]):
        with pytest.raises(ValueError):
            crossed_bootstrap(bad, [[1, 0]])


# -- pass@k and votes ------------------------------------------------------------------------------


def test_pass_at_k_has_the_reference_values():
    for k, value in ((1, 0.3), (2, 0.533333), (5, 0.916667), (8, 1.0)):
        assert pass_at_k(10, 3, k) == pytest.approx(value, abs=1e-6)


def test_pass_at_k_is_the_share_of_subsets_with_a_right_sample():
    for n, c in ((6, 2), (5, 0), (5, 5), (7, 1)):
        samples = [i < c for i in range(n)]
        for k in range(1, n + 1):
            subsets = list(combinations(samples, k))
            assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, subsets)) / len(subsets))


@pytest.mark.parametrize("n, k", [(4, 5), (4, 0), (0, 1)])
def test_pass_at_k_of_more_samples_than_there_are_is_an_error(n, k):
    with pytest.raises(ValueError):
        pass_at_k(n, 0, k)


def test_majority_rules():
    assert majority(["7", "12", "12"]) == "12"
    assert majority([None, None, None, "7"]) == "7"  # who gives no answer does not outvote who does
    # a tie: first seen
    assert majority(["12", "7", "7", "12"]) == "12" and majority(["7", "12", "12", "7"]) == "7"
    assert majority([None]) is None and majority([]) is None


@pytest.mark.parametrize(
    "p, k, value", [(0.6, 5, 0.68256), (0.6, 15, 0.7869), (0.4, 5, 0.31744), (0.4, 15, 0.2131)]
)
def test_majority_of_independent_voters_has_the_reference_values(p, k, value):
    """All 2^k ways to vote between two answers, each with its probability (Condorcet's theorem,
    both sides of it)."""
    total = 0.0
    for votes in product((True, False), repeat=k):
        keys = ["right" if vote else "wrong" for vote in votes]
        total += majority_at_k(keys, votes, k) * p ** sum(votes) * (1 - p) ** (k - sum(votes))
    assert total == pytest.approx(value, abs=1e-4)


def test_majority_at_k_is_unbiased_over_blocks():
    """Its mean over many problems of n samples is the accuracy of a vote among k; what fills no
    block is left out."""
    rng = random.Random(0)
    values = []
    for _ in range(3000):
        right = [rng.random() < 0.6 for _ in range(17)]
        values.append(majority_at_k(["a" if r else "b" for r in right], right, 5))
    assert mean(values) == pytest.approx(0.68256, abs=0.01)


def test_majority_at_k_counts_abstentions_as_no_vote():
    assert majority_at_k([None, None, "7"], [False, False, True], 3) == 1
    assert majority_at_k([None, None, None], [False, False, False], 3) == 0
    with pytest.raises(ValueError):
        majority_at_k(["7"], [True], 2)


def test_calibration_puts_each_problem_in_one_bin():
    def votes(right, wrong, none=0):
        keys = ["7"] * right + [f"x{i}" for i in range(wrong)] + [None] * none
        return keys, [key == "7" for key in keys]

    table = calibration([votes(4, 0), votes(3, 1), votes(2, 2), votes(1, 0, 3), votes(0, 0, 4)])
    assert [(b["above"], b["up_to"], b["n"], b["accuracy"]) for b in table if b["n"]] == [
        (0.0, 0.25, 1, 1.0),
        (0.25, 0.5, 1, 1.0),
        (0.5, 0.75, 1, 1.0),
        (1.0, 1.0, 1, 1.0),
    ]
    assert sum(b["n"] for b in table) == 4  # the problem without a vote is in none


# -- scores ----------------------------------------------------------------------------------------


def episode(correct, thinks, length=3, reason="eos", formatted=True):
    problem = Problem("gsm8k-mini", "?", "7", "k")
    return Episode(
        problem,
        [1],
        [5] * length,
        [1] * length,
        [0.0] * length,
        "",
        reason,
        Grade(correct, formatted, "7", "right" if correct else "wrong answer"),
        thinks,
    )


def test_score_counts_what_it_says():
    scores = Scores.of(
        [
            [episode(True, True, 10)],
            [episode(False, True, 6, "length", False)],
            [episode(True, False, 2)],
            [episode(False, False, 2, "length")],
        ]
    )
    assert (scores.accuracy, scores.think_rate, scores.n, scores.tokens) == (0.5, 0.5, 4, 20)
    assert scores.thinking_n == 2
    assert scores.accuracy_thinking == 0.5 and scores.accuracy_reflex == 0.5
    assert scores.mean_length == 5 and scores.clipped_ratio == 0.5
    assert scores.formatted == 0.5  # well-formed but cut off does not count
    assert math.isnan(Scores.of([[episode(True, True)]]).accuracy_reflex)


def test_more_samples_of_the_same_problems_do_not_narrow_the_interval():
    one = Scores.of([[episode(True, False)], [episode(False, False)]])
    many = Scores.of([[episode(True, False)] * 50, [episode(False, False)] * 50])
    assert one.accuracy_ci == many.accuracy_ci and many.n == 2


def test_scores_come_back_from_json_as_they_were():
    """Catches: a rate of nothing that is null in the file and then no number any more; a resumed
    run whose first figures are not those of the run before."""
    for greedy in (None, 0.25):
        scores = replace(Scores.of([[episode(True, True)]]), seconds=2.0, greedy=greedy)
        again = Scores.from_dict(json.loads(json.dumps(json_ready(scores.as_dict()))))
        assert repr(again) == repr(scores) and math.isnan(again.accuracy_reflex)
        assert ("greedy" in scores.as_dict()) == (greedy is not None)


# -- end to end ------------------------------------------------------------------------------------


def test_quick_end_to_end(model, tokenizer, task):
    problems = task.problems("validation", 6)
    scores, episodes = measure.measure(
        model, tokenizer, task, problems, seed=0, max_new_tokens=12, samples=2
    )
    figures = scores.as_dict()
    assert {
        "accuracy",
        "accuracy_ci",
        "formatted",
        "think_rate",
        "thinking_n",
        "accuracy_thinking",
        "accuracy_reflex",
        "mean_length",
        "clipped_ratio",
        "n",
        "seconds",
        "tokens",
    } == set(figures)
    assert (
        figures["n"] == 6
        and len(episodes) == 12
        and figures["tokens"] == sum(e.length for e in episodes)
    )
    again, _ = measure.measure(
        model, tokenizer, task, problems, seed=0, max_new_tokens=12, samples=2
    )
    assert repr(replace(again, seconds=0)) == repr(replace(scores, seconds=0))


def test_prompts_too_long_are_dropped_and_counted_and_none_left_is_an_error(model, tokenizer, task):
    short, long = task.problems("validation", 2)
    long = Problem(long.task, long.prompt * 20, long.answer, long.key, meta=long.meta)
    scores, _ = measure.measure(model, tokenizer, task, [short, long], seed=0, max_new_tokens=8)
    assert scores.n == 1
    evaluator = measure.Evaluator(model, tokenizer, task, [short, long], 8, seed=0)
    assert evaluator.too_long == 1
    with pytest.raises(UserError, match="nothing to ask"):
        measure.measure(model, tokenizer, task, [long], seed=0, max_new_tokens=8)


def run(folder, *argv):
    run_command(
        evaluate.main,
        evaluate.Options,
        ["--checkpoint", str(folder), *argv],
        prog="evaluate",
        description="",
    )


def test_the_command_writes_one_json_object_with_all_its_figures(folder, tmp_path, capsys):
    out = tmp_path / "result.json"
    run(
        folder,
        "--n",
        "8",
        "--samples",
        "4",
        "--max-new-tokens",
        "16",
        "--threads",
        "1",
        "--out",
        str(out),
    )
    result = json.loads(out.read_text())
    for key in (
        "accuracy",
        "accuracy_ci",
        "greedy",
        "greedy_ci",
        "think_rate",
        "accuracy_thinking",
        "reasons",
        "tokens",
        "seconds",
        "peak_memory_mb",
        "machine",
        "version",
        "calibration",
        "by_language",
        "by_ood",
    ):
        assert key in result, key
    assert (result["task"], result["split"], result["n"], result["samples"]) == (
        "gsm8k-mini",
        "test",
        8,
        4,
    )
    assert list(result["pass_at_k"]) == list(result["majority_at_k"]) == ["1", "2", "4"]
    assert list(result["temperatures"]) == ["0", "0.3", "0.6", "1"]
    assert list(result["thinking_forced"]) == ["0", "1"]
    assert result["consistency"]["n"] == 8 and result["checkpoint"] == str(folder)
    assert (
        sum(cell["n"] for cell in result["by_steps"].values())
        == sum(result["reasons"].values())
        == 8
    )
    assert {"sampled", "greedy", "temperature 0.3", "forced 0", "forced 1"} <= set(
        result["outcomes"]
    )
    assert all(len(o) == 8 and set(o) <= {"0", "1"} for o in result["outcomes"].values())
    printed = capsys.readouterr().out
    shown = printed.split("gsm8k-mini, test split:")[1]  # behind the table of options
    assert shown.startswith(" 8 problems, 4 samples each") and "too few (n = 8)" in shown


def test_the_table_shows_every_figure_of_enough_problems_and_no_rate_of_fewer(
    model, tokenizer, task
):
    """Issue 15, 14. Catches: `nan%` for one problem, `100.0%` for three."""
    options = evaluate.Options(checkpoint="here", samples=4, max_new_tokens=4)
    problems = task.problems("test", 20)
    few = evaluate.table(evaluate.evaluate(model, tokenizer, task, problems[:19], options))
    assert (
        "%" not in few
        and not re.search(r"\bnan", few)
        and "too few (n = 19)" in few
        and "cost: " in few
    )
    table = evaluate.table(evaluate.evaluate(model, tokenizer, task, problems, options))
    for name in ("accuracy", "greedy", "thinks", "pass@k", "vote of k", "temperature 0.3"):
        assert f"\n{name}" in table, name
    assert "same in 4 wordings" in table and not re.search(r"\bnan", table)
    for row in table.splitlines():
        if "(n = " in row and "too few" in row:
            assert "%" not in row and int(row.split("n = ")[1].rstrip(")")) < 20


def test_an_evaluation_can_be_repeated(model, tokenizer, task):
    options = evaluate.Options(checkpoint="here", samples=4, max_new_tokens=12, quick=True)
    problems = task.problems("test", 5)
    one, two = (evaluate.evaluate(model, tokenizer, task, problems, options) for _ in range(2))
    volatile = {"seconds", "peak_memory_mb"}
    assert json.dumps({k: v for k, v in one.items() if k not in volatile}) == json.dumps(
        {k: v for k, v in two.items() if k not in volatile}
    )
    assert "temperatures" not in one


class Parrot(type(get_task("gsm8k-mini"))):
    """A task that grades as a perfect model would be: to see the figures of rightness, not of a
    random model."""

    def grade(self, problem, completion):
        return Grade(True, True, problem.answer, "right")


def test_a_model_that_is_always_right_gets_full_marks_everywhere(model, tokenizer):
    task = Parrot()
    options = evaluate.Options(checkpoint="here", samples=4, max_new_tokens=4)
    result = evaluate.evaluate(model, tokenizer, task, task.problems("ood", 6), options)
    assert result["accuracy"] == result["greedy"] == result["accuracy_all_samples"] == 1
    assert set(result["pass_at_k"].values()) == set(result["majority_at_k"].values()) == {1.0}
    assert result["consistency"]["alike"] == result["consistency"]["accuracy"] == 1
    assert result["calibration"][-1]["n"] == 6 and result["outcomes"]["forced 1"] == "111111"
    assert set(result["by_ood"]) <= {"new story", "larger numbers"}
    assert sum(cell["n"] for cell in result["by_ood"].values()) == 6


def test_at_temperature_0_one_sample_is_all_there_is(model, tokenizer, task):
    options = evaluate.Options(
        checkpoint="here", temperature=0.0, samples=8, max_new_tokens=4, quick=True
    )
    result = evaluate.evaluate(model, tokenizer, task, task.problems("test", 3), options)
    assert (
        result["samples"] == 1
        and result["accuracy"] == result["greedy"]
        and result["calibration"] is None
    )


# -- the command's mistakes ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "argv, words",
    [
        (["--task", "gsm8k-mni"], "did you mean gsm8k-mini"),
        (["--task", "gsm8k"], "--data"),
        (["--split", "all"], "--data"),
        (["--split", "tset"], "did you mean test"),
        (["--n", "0"], "--n must be at least 1"),
        (["--out", "/no/such/folder/x.json"], "--out"),
        (["--data", "/no/such/file.jsonl"], "/no/such/file.jsonl"),
        (["--task", "arithmetic", "--data", "x.jsonl"], "--data goes with --task gsm8k"),
        (["--max-new-tokens", "256"], "nothing to ask"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(folder, argv, words, capsys):
    with pytest.raises(SystemExit) as stop:
        run(folder, *argv)
    error = capsys.readouterr().err.strip()
    assert (
        stop.value.code == 2
        and words in error
        and "\n" not in error
        and error.startswith("error: ")
    )


def test_a_result_is_never_written_over(folder, tmp_path, capsys, monkeypatch):
    """Issue 15, 22. Refused before a model is opened."""
    out = tmp_path / "result.json"
    out.write_text("mine")
    monkeypatch.setattr(checkpoint, "open_model", lambda *args: pytest.fail("it was opened"))
    with pytest.raises(SystemExit) as stop:
        run(folder, "--out", str(out))
    assert stop.value.code == 2 and out.read_text() == "mine"
    assert f"--out {out} is there already; choose another name" in capsys.readouterr().err


def test_a_missing_checkpoint_is_one_line_and_exit_code_2(tmp_path, capsys):
    for name in ("no-such-name", str(tmp_path / "nowhere"), str(tmp_path)):
        with pytest.raises(SystemExit) as stop:
            run(name)
        assert stop.value.code == 2 and capsys.readouterr().err.count("\n") == 1


def test_a_run_folder_stands_for_its_last_checkpoint(model, tokenizer, tmp_path):
    for step in (2, 10):
        checkpoint.save(tmp_path / "checkpoints" / f"step-{step:06d}", model, tokenizer)
    found, _, _, _ = checkpoint.open_model(str(tmp_path), torch.device("cpu"))
    assert found.name == "step-000010"


def test_a_checkpoint_without_a_tokenizer_cannot_be_asked(model, tmp_path):
    bare = checkpoint.save(tmp_path / "bare", model, None)
    with pytest.raises(UserError, match="no tokenizer"):
        checkpoint.open_model(str(bare), torch.device("cpu"))


def test_intervals_knows_no_model():
    assert not {"torch", "minilrm"} & set(vars(intervals))

"""studies/variants in miniature: every arm runs and ends by its budget, and what counts as
a difference."""

import functools
import json
import random
import sys
from pathlib import Path

import pytest
from conftest import pay

from minilrm.errors import UserError
from minilrm.intervals import paired_bootstrap
from minilrm.loop import run as loop_run
from minilrm.runlog import RunLog
from minilrm.tasks.arithmetic import Arithmetic
from minilrm.tasks.gsm8k_mini import GSM8KMini
from studies.variants import figures, numbers, plots, text
from studies.variants import study as study_variants

BUDGET = 150


@pytest.fixture
def study(base, tmp_path, monkeypatch):
    """The study with a tiny model, a few short answers, and rewards out of the blue."""
    monkeypatch.setenv("MINILRM_DATA", str(tmp_path))
    for task in (GSM8KMini, Arithmetic):
        monkeypatch.setattr(task, "max_new_tokens", 8)
        monkeypatch.setattr(
            task,
            "problems",
            lambda self, split, n: [self.sample(random.Random(i), "train") for i in range(n)],
        )
    pay(monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        study_variants,
        "COMMON",
        study_variants.COMMON
        | {"init": str(base), "prompts": 4, "group_size": 4, "eval_n": 3, "save_every": 1},
    )
    for name, value in (
        ("BASE", str(base)),
        ("TOKENS", BUDGET),
        ("N", 5),
        ("PASS_N", 3),
        ("PASS_SAMPLES", 4),
    ):
        monkeypatch.setattr(study_variants, name, value)
    return study_variants


def steps(log):
    return [m["tokens"] for m in log.metrics("train")]


# -- the runs --------------------------------------------------------------------------------------


@pytest.mark.parametrize("arm", study_variants.ARMS)
def test_every_arm_runs_until_its_tokens_are_spent(study, arm, tmp_path):
    """Catches: arms compared at equal steps; an option that a loop does not know; half a budget, or
    two."""
    found = study.study_run("gsm8k-mini", arm, 1)
    tokens = steps(RunLog.open(study.folder("gsm8k-mini", arm, 1)))
    assert (
        tokens[-1] >= BUDGET > ([0] + tokens)[-2]
        and found["tokens"] == tokens[-1]
        and found["steps"] == len(tokens) > 1
    )
    assert len(found["right"]) == len(found["greedy"]) == len(found["lengths"]) == 5
    assert str(tmp_path) not in json.dumps(found)
    left = list((study.folder("gsm8k-mini", arm, 1) / "checkpoints").iterdir())
    # pass@k still needs it; the others would fill the disk
    assert bool(left) == (arm == study.DEFAULT)


def test_each_arm_is_what_it_is_called():
    """Catches: the command's own aggregation kept (then dapo, gspo and cispo lose theirs), and one
    step a batch, where no ratio ever leaves 1."""
    options = {
        arm: study_variants.grpo.Options(**study_variants.COMMON | {"aggregation": None} | changed)
        for arm, (_, changed) in study_variants.ARMS.items()
        if arm != "ppo"
    }
    assert (
        len({json.dumps(o.__dict__, default=str) for o in options.values()}) == len(options) == 11
    )
    assert all(o.updates > 1 for o in options.values())
    assert {a for a, o in options.items() if o.aggregation} == {"token-mean", "expert"}
    assert {a: (o.kl_in, o.kl_kind) for a, o in options.items() if o.kl_coef} == {
        "k2-loss": ("loss", "k2"),
        "k1-reward": ("reward", "k1"),
    }
    assert {a for a, o in options.items() if o.normalize == "none"} == {"dr_grpo", "std-off"}


def test_a_run_that_was_broken_off_is_the_same_run(study, monkeypatch):
    """Catches: half a run taken for a result, and a budget forgotten on the way back."""
    whole = study.study_run("gsm8k-mini", "std-off", 0)
    make = study.grpo.Trainer

    class Dies(make):
        def step(self, step):
            if step == 1:
                raise RuntimeError("the power failed")
            return super().step(step)

    monkeypatch.setattr(study, "folder", lambda task, arm, seed: Path("again"))
    monkeypatch.setattr(study.grpo, "Trainer", Dies)
    with pytest.raises(RuntimeError):
        study.study_run("gsm8k-mini", "std-off", 0)
    monkeypatch.setattr(study.grpo, "Trainer", make)
    again = study.study_run("gsm8k-mini", "std-off", 0)
    assert {k: again[k] for k in ("tokens", "right", "lengths", "curves")} == {
        k: whole[k] for k in ("tokens", "right", "lengths", "curves")
    }


def test_a_run_that_was_broken_off_while_it_was_measured_is_not_trained_on(study):
    """Mistake: resumed, the loop makes one more step before it sees that the budget is spent."""
    before = study.run("gsm8k-mini", "dapo", 0).metrics()
    assert study.run("gsm8k-mini", "dapo", 0).metrics() == before


def test_an_interrupted_run_is_no_result(study, monkeypatch):
    # What Ctrl-C makes of it.
    monkeypatch.setattr(loop_run, "steps", lambda trainer, log, interrupt: False)
    with pytest.raises(KeyboardInterrupt):
        study.study_run("gsm8k-mini", "grpo", 0)


def test_all_does_everything_once_in_order(study, monkeypatch):
    """Catches: arms chosen for the second task before all have run, a part done twice, the default
    among the best."""
    asked = []

    def pretend(kind):
        def part(task, arm, seed):
            asked.append((kind, task, arm, seed))
            right = 1 + 2 * (arm in ("gspo", "ppo")) + (arm == "expert")
            return {
                "right": "1" * right + "0" * (9 - right),
                "greedy": "0" * 9,
                "lengths": [5] * 9,
                "problems_sha256": task,
                "samples": 4,
                "counts": [0, 1, 4],
            }

        return part

    for name in ("base", "run", "pass"):
        monkeypatch.setattr(study, f"study_{name}", pretend(name))
    monkeypatch.setattr(sys, "argv", ["variants", "all", "--seed", "1"])
    study.main()
    assert (
        not any(task == "arithmetic" for _, task, _, _ in asked)
        and len(asked) == 13
        and asked[-1][0] == "pass"
    )
    monkeypatch.setattr(sys, "argv", ["variants", "all"])
    study.main()
    assert len(asked) == len(set(asked)) == 2 + 36 + 4 + 12
    assert {arm for kind, task, arm, _ in asked if task == "arithmetic" and kind == "run"} == {
        "grpo",
        "gspo",
        "ppo",
        "expert",
    }
    study.main()
    assert len(asked) == 54


def test_pass_at_k_is_of_the_default_and_its_base(study):
    study.study_run("gsm8k-mini", "grpo", 0)
    found = study.study_pass("gsm8k-mini", "grpo", 0)
    assert (
        found["samples"] == 4
        and len(found["counts"]) == 3
        and all(0 <= c <= 4 for c in found["counts"])
    )
    assert study.study_pass("gsm8k-mini", "base", 0)["problems_sha256"] == found["problems_sha256"]
    with pytest.raises(UserError, match="no finished run"):
        study.study_pass("gsm8k-mini", "grpo", 2)


# -- the numbers -----------------------------------------------------------------------------------


def record(kind, arm, seed, right, task="gsm8k-mini", lengths=None, **more):
    return {
        "kind": kind,
        "task": task,
        "arm": arm,
        "seed": seed,
        "right": right,
        "greedy": right,
        "lengths": lengths or [10] * len(right),
        "problems_sha256": "ab",
        "cut": 0,
        "steps": 20,
        "tokens": 100,
        "seconds": 9.0,
    } | more


def made_up():
    base, default, better = "10" * 100, "1110" * 50, "1111" * 49 + "1110"
    lengths = [30 if c == "1" else 50 for c in default]
    runs = [record("run", "grpo", s, default, lengths=lengths) for s in range(3)]
    runs += [record("run", "gspo", s, better) for s in range(3)]
    runs += [record("run", "cispo", s, base if s else better) for s in range(3)]
    runs += [record("run", "dapo", s, better) for s in range(2)]
    passes = [
        {
            "kind": "pass_at_k",
            "task": "gsm8k-mini",
            "arm": a,
            "seed": s,
            "samples": 4,
            "problems_sha256": "cd",
            "counts": [c] * 30 + [0] * 30,
        }
        for a, s, c in (("base", 0, 1), ("grpo", 0, 4), ("grpo", 1, 4), ("grpo", 2, 4))
    ]
    return [record("base", "base", 0, base), *runs, *passes]


@pytest.fixture
def table(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MINILRM_DATA", str(tmp_path))
    monkeypatch.setattr(
        numbers, "paired_bootstrap", functools.partial(paired_bootstrap, samples=400)
    )

    def run(parts):
        (tmp_path / "results").mkdir(exist_ok=True)
        (tmp_path / "results" / "variants.jsonl").write_text(
            "".join(json.dumps(r) + "\n" for r in parts), encoding="utf-8"
        )
        monkeypatch.setattr(sys, "argv", ["figures"])
        figures.main()
        return json.loads(
            (tmp_path / "results" / "variants.json").read_text(encoding="utf-8")
        ), capsys.readouterr().out

    return run


def test_what_counts_as_a_difference(table, tmp_path):
    """Catches: three seeds of one problem taken for three problems; a mean over seeds that hides a
    seed of other sign."""
    summary, printed = table(made_up())
    arms = summary["tasks"]["gsm8k-mini"]["arms"]
    against = {arm: f["against default"] for arm, f in arms.items()}
    assert against["grpo"] is None and against["gspo"]["significant"] is True
    assert against["gspo"]["value"] == pytest.approx(199 / 200 - 150 / 200)
    assert against["cispo"]["significant"] is False and min(against["cispo"]["each"]) < 0 < max(
        against["cispo"]["each"]
    )
    assert against["dapo"]["significant"] is None and "2 seeds only" in printed
    low, high = arms["grpo"]["sampled"]["ci"]
    # n is 200, not 600
    assert high - low == pytest.approx(2 * 1.96 * (0.75 * 0.25 / 200) ** 0.5, rel=0.15)
    assert (
        "not measured yet" in printed
        and (tmp_path / "results" / "variants.png").stat().st_size > 5_000
    )


def test_one_seed_that_went_well_is_no_difference():
    """Mistake: an interval over problems alone, which is narrow although the three trainings do not
    agree on how much is gained."""
    base = [1, 0] * 500
    ours = {0: [1, 0] * 500, 1: [1, 1] * 500, 2: [1, 0] * 499 + [1, 1]}
    found = numbers.compare(ours | {0: [1, 0] * 499 + [1, 1]}, dict.fromkeys(range(3), base))
    assert found["over problems"][0] > 0.1 and min(found["each"]) > 0
    assert found["ci"][0] < 0.01 and found["significant"] is False


def test_the_lecture_has_five_columns_and_the_page_all(table, tmp_path):
    summary, _ = table(made_up())
    short, whole = (text.tables(summary, whole=w).splitlines() for w in (False, True))
    head = [next(line for line in lines if line.startswith("| arm")) for lines in (short, whole)]
    assert [line.count("|") - 1 for line in head] == [5, 12]
    assert (tmp_path / "results" / "variants.md").read_text(encoding="utf-8") == text.page(summary)


def test_lengths_of_right_and_wrong_answers(table):
    summary, printed = table(made_up())
    arms = summary["tasks"]["gsm8k-mini"]["arms"]
    assert (arms["grpo"]["length right"]["value"], arms["grpo"]["length wrong"]["value"]) == (
        30,
        50,
    )
    assert (arms["grpo"]["length right"]["n"], arms["grpo"]["length wrong"]["n"]) == (450, 150)
    assert (
        arms["gspo"]["length wrong"] == {"value": None, "ci": [0, 0], "n": 3}
        and "too few (n = 3)" in printed
    )


def test_cut_answers_are_counted_and_kept_apart(table):
    """Mistake: wrong answers called longer where some of them only ran into the limit."""
    limit = GSM8KMini.max_new_tokens
    lengths = ([30, 30, 30, 50] * 49) + [30, 30, 30, limit]
    found = [record("run", "grpo", s, "1110" * 50, lengths=lengths, cut=1) for s in range(3)]
    f = table(found)[0]["tasks"]["gsm8k-mini"]["arms"]["grpo"]
    assert f["cut"] == pytest.approx(1 / 200) and f["length wrong, not cut"]["value"] == 50
    assert (
        f["length wrong"]["value"] == pytest.approx(50 + (limit - 50) / 50)
        and f["on the way"] is None
    )


def test_accuracy_on_the_way_is_by_tokens_and_not_by_steps():
    """Two runs with the same accuracy step by step; one spends its tokens early. After half of them
    it is further behind."""

    def way(lengths):
        curves = {"accuracy": [0.0, 0.3, 0.6, 0.9], "completions/mean_length": lengths}
        return numbers.on_the_way([{"curves": curves}] * 2)

    assert way([10, 10, 10, 10])[14] == pytest.approx(0.9) and way([10, 10, 10, 10])[
        6
    ] == pytest.approx(0.26)  # at 7/15
    assert way([60, 20, 10, 10])[6] == 0.0


def test_pass_at_k_says_whether_rl_only_sharpens(table):
    """Here it does: the base finds the same half of the problems if asked often enough."""
    summary, printed = table(made_up())
    found = summary["pass_at_k"]
    assert [found[k]["base"]["value"] for k in ("1", "2", "4")] == [0.125, 0.25, 0.5] and list(
        found
    ) == ["1", "2", "4"]
    assert [found[k]["RL - base"]["significant"] for k in found] == [True, True, False]
    assert "no difference is shown: +0.0 to +0.0" in printed


def test_nothing_measured_makes_a_table_that_says_so(table, tmp_path):
    summary, printed = table([])
    assert (
        printed.count("not measured yet") == 15
        and not (tmp_path / "results" / "variants.png").exists()
    )


def test_results_on_other_problems_are_not_compared(table):
    with pytest.raises(UserError, match="different problems"):
        table([*made_up(), record("run", "ppo", 0, "1" * 200, problems_sha256="cd")])


def test_the_figure_needs_no_colour_and_comes_out_the_same(table, tmp_path):
    summary, _ = table(made_up())
    first = (tmp_path / "results" / "variants.png").read_bytes()
    plots.draw(summary, tmp_path / "again.png")
    assert (tmp_path / "again.png").read_bytes() == first

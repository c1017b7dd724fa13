"""What DAPO (arXiv 2503.14476) adds to a step of GRPO: groups drawn anew, and a price for overlong
completions."""

import json
import math

import pytest
from conftest import judge, parity, pay

from minilrm import cli, grpo, objectives, rl
from minilrm.errors import UserError
from minilrm.loop import run as loop_run


@pytest.fixture
def make_trainer(base, monkeypatch):
    """A trainer whose reward is the parity of a completion, but 0 for the questions that `dull`
    picks."""

    def make(dull=lambda problem: False, **more):
        def paid(episodes):
            values = zip(parity(episodes), episodes, strict=True)
            return [0.0 if dull(e.problem) else value for value, e in values]

        pay(monkeypatch, paid)
        return grpo.Trainer(
            grpo.Options(
                **{
                    "init": str(base),
                    "prompts": 6,
                    "group_size": 8,
                    "max_new_tokens": 8,
                    "threads": 1,
                    "device": "cpu",
                    "warmup": 0,
                }
                | more
            )
        )

    return make


def half(problem):
    """About half of all problems, always the same ones."""
    return sum(map(ord, problem.key)) % 2 == 0


def keys(groups):
    return [g[0].problem.key for g in groups]


# -- dynamic sampling ------------------------------------------------------------------------------


def test_dull_groups_give_way_and_the_others_stay_where_they_are(make_trainer):
    """Catches: lively groups sampled anew too, fresh groups appended instead of put in place."""
    trainer = make_trainer(half, dynamic_sampling=8)
    first = trainer.sample(0)
    assert 0 < sum(map(grpo.has_zero_std, first)) < 6
    groups, figures = trainer.sample_dynamically(0, first)
    assert not any(map(grpo.has_zero_std, groups)) and len(groups) == 6
    assert all(
        new is old for new, old in zip(groups, first, strict=True) if not grpo.has_zero_std(old)
    )
    assert sum(map(grpo.has_zero_std, first)) > 0, (
        "the first draw is left as it was: its figures are logged"
    )
    assert figures["dynamic/rounds"] >= 1 and figures["dynamic/dropped_groups"] >= sum(
        map(grpo.has_zero_std, first)
    )
    # other questions, each only once
    assert len(set(keys(groups) + keys(first))) == 6 + sum(map(grpo.has_zero_std, first))


def test_the_rounds_are_bounded_and_what_is_left_stays_in_the_batch(make_trainer):
    """Catches: a loop without an end where nothing is to be learnt; a batch that shrinks, so that
    few groups take a step as large as all."""
    trainer = make_trainer(lambda problem: True, dynamic_sampling=2)
    calls, sample = [], trainer.sample
    trainer.sample = lambda *args, **more: (calls.append((args, more)), sample(*args, **more))[1]
    before = {name: p.clone() for name, p in trainer.model.state_dict().items()}
    metrics = trainer.step(3)
    every = [0, 1, 2, 3, 4, 5]
    assert calls == [((3,), {}), ((3, every), {"again": 1}), ((3, every), {"again": 2})]
    assert (metrics["dynamic/rounds"], metrics["dynamic/dropped_groups"]) == (2, 12)
    assert metrics["grad_norm"] == 0 and metrics["frac_reward_zero_std"] == 1
    assert all(p.equal(before[name]) for name, p in trainer.model.state_dict().items())
    # all three rounds were paid for
    assert metrics["tokens"] > 2 * metrics["completions/mean_length"] * 48
    groups, _ = trainer.sample_dynamically(3, trainer.sample(3))
    assert len(groups) == 6


def test_no_round_without_need(make_trainer):
    trainer = make_trainer(dynamic_sampling=5)
    first = trainer.sample(0)
    lively = [g for g in first if not grpo.has_zero_std(g)]
    groups, figures = trainer.sample_dynamically(0, lively)
    assert figures == {"dynamic/rounds": 0, "dynamic/dropped_groups": 0} and keys(groups) == keys(
        lively
    )


def test_every_round_asks_other_questions_and_every_run_the_same(make_trainer):
    """Catches: a redraw that meets the next step's questions, or samples with the same random
    numbers again."""
    trainer = make_trainer()
    drawn = [p.key for step in (0, 1) for again in (0, 1, 2) for p in trainer.draw(step, 6, again)]
    assert len(set(drawn)) == 36
    assert drawn == [
        p.key for step in (0, 1) for again in (0, 1, 2) for p in make_trainer().draw(step, 6, again)
    ]
    assert len({rl.mix_seed(0, step, again) for step in range(50) for again in range(5)}) == 250
    one, other = (make_trainer(half, dynamic_sampling=3).step(2) for _ in range(2))
    assert {k: v for k, v in one.items() if "seconds" not in k} == {
        k: v for k, v in other.items() if "seconds" not in k
    }


def test_the_figures_are_of_the_first_draw_and_the_gradient_of_the_kept(make_trainer):
    """Catches: a reward curve of chosen groups, which stays near one half whatever the policy has
    learnt."""
    metrics, plain = make_trainer(half, dynamic_sampling=8).step(0), make_trainer(half).step(0)
    for name in (
        "reward",
        "accuracy",
        "entropy",
        "frac_reward_zero_std",
        "completions/mean_length",
    ):
        assert metrics[name] == plain[name]
    assert metrics["frac_reward_zero_std"] > 0 and metrics["grad_norm"] > plain["grad_norm"]
    assert not [name for name in plain if name.startswith("dynamic")]


def test_a_group_has_zero_std_by_its_valid_rewards(make_trainer):
    (group, *_) = make_trainer(lambda problem: True).sample(0)
    assert grpo.has_zero_std(group)
    group[0].reward = 1.0
    assert not grpo.has_zero_std(group)
    group[0].valid = False
    assert grpo.has_zero_std(group)
    for e in group[1:]:
        e.valid = False
    assert grpo.has_zero_std(group)


# -- the soft overlong penalty ---------------------------------------------------------------------


def test_long_completions_pay_by_the_formula(make_trainer):
    """Catches: a penalty of the padded length, of the prompt's, or one that begins at the limit."""
    plain, punished = make_trainer().sample(0), make_trainer(overlong_cache=6).sample(0)
    lengths = [e.length for g in plain for e in g]
    assert min(lengths) <= 2 < 8 == max(lengths)
    for e, other in zip(
        (e for g in plain for e in g), (e for g in punished for e in g), strict=True
    ):
        assert e.completion_ids == other.completion_ids
        assert other.reward == pytest.approx(
            e.reward - min(1.0, max(0.0, (e.length - 2) / 6)), abs=1e-6
        )


def test_an_invalid_reward_stays_invalid(make_trainer):
    trainer = make_trainer(overlong_cache=8)
    trainer.judge = judge(lambda e: math.nan)
    assert all(not e.valid and e.reward == 0 for g in trainer.sample(0) for e in g)


def test_a_penalty_longer_than_a_completion_is_refused(make_trainer):
    with pytest.raises(
        UserError,
        match="--overlong-cache 9 is longer than a completion may be .8.; choose a smaller one",
    ):
        make_trainer(overlong_cache=9)
    make_trainer(overlong_cache=8)


# -- the whole recipe ------------------------------------------------------------------------------


def test_dapo_as_a_command(make_trainer, base, tmp_path, monkeypatch):
    """Clip-higher and the token mean come with the objective; a resumed run draws the same groups
    anew."""
    make_trainer(half)
    monkeypatch.setattr(loop_run, "write_report", lambda folder: folder)
    argv = (
        f"--init {base} --out {tmp_path / 'run'} --objective dapo --dynamic-sampling 2 "
        "--overlong-cache 4 --updates 2 --prompts 3 --group-size 4 --max-new-tokens 8 --steps 2 "
        "--eval-n 2 --threads 1 --device cpu --save-every 1"
    )
    cli.run_command(grpo.main, grpo.Options, argv.split(), prog="", description="")
    lines = [
        json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    ]
    train = [line for line in lines if line["event"] == "train"]
    assert [line["step"] for line in train] == [1, 2] and all(
        line["dynamic/rounds"] <= 2 for line in train
    )
    assert objectives.OBJECTIVES["dapo"] == ("token", 0.2, 0.28) and grpo.Options.clip_high is None
    cli.run_command(
        grpo.main,
        grpo.Options,
        ["--resume", str(tmp_path / "run"), "--steps", "3"],
        prog="",
        description="",
    )

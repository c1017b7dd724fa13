"""One step of GRPO: what goes into its gradient, and each variant of it, on a tiny model."""

import json
import math
from dataclasses import replace

import pytest
import torch
from conftest import judge, parity_of, pay

from minilrm import checkpoint, grpo, objectives, rl
from minilrm.errors import UserError
from minilrm.loop import Evaluation
from minilrm.loop import run as loop_run
from minilrm.measure import Scores
from minilrm.rollout import episode_logprobs, rollout
from minilrm.runlog import RunLog
from minilrm.tasks import get_task

OBJECTIVES = tuple(objectives.OBJECTIVES)


@pytest.fixture
def make_trainer(base, monkeypatch):
    pay(monkeypatch)
    monkeypatch.setattr(loop_run, "write_report", lambda folder: folder)

    def make(**more):
        return grpo.Trainer(options(base, **more))

    return make


def options(base, **more):
    return grpo.Options(
        **{
            "init": str(base),
            "prompts": 4,
            "group_size": 4,
            "max_new_tokens": 16,
            "threads": 1,
            "device": "cpu",
            "warmup": 0,
            "eval_n": 4,
            "eval_quick": 4,
            "aggregation": None,
        }
        | more
    )


def answered(trainer, reward=parity_of, seed=0, temperature=1.0):
    """The groups of a step, with rewards and advantages, before the update."""
    groups = rollout(
        trainer.model,
        trainer.tokenizer,
        trainer.task,
        trainer.draw(0),
        group_size=4,
        max_new_tokens=16,
        temperature=temperature,
        seed=seed,
        dtype=trainer.decoding_dtype,
    )
    judge(reward)(groups)
    grpo.set_advantages(groups, trainer.options.normalize)
    return groups


def gradient(model):
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def caught_gradient(trainer, groups):
    """The gradient of `optimizer_step`, caught where the guard would use it; no step is taken."""
    caught = []

    def catch(model, optimizers, loss):
        caught.append(gradient(model))
        model.zero_grad()
        return 1.0

    trainer.guard.step = catch
    metrics = trainer.optimizer_step(groups)
    return caught[0], metrics


def agree(a, b, relative):
    assert b.norm() > 0 and (a - b).norm() <= relative * b.norm()


# -- the gradient of a batch -----------------------------------------------------------------------


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_gradient_does_not_depend_on_how_the_batch_was_cut(
    make_trainer, full_precision, objective
):
    """Catches: a mean over each micro-batch, which weighs a short last one as much as a full
    one."""
    trainer = make_trainer(objective=objective)
    groups = answered(trainer)
    whole, figures = caught_gradient(trainer, groups)
    for budget in (16, 40, 100):
        trainer.options.max_tokens_per_batch = budget
        parts, other = caught_gradient(trainer, groups)
        agree(parts, whole, 1e-6)
        assert other == {name: pytest.approx(value, abs=1e-6) for name, value in figures.items()}


def test_nor_with_old_and_reference_logprobs(make_trainer, full_precision):
    """Catches: log-probs remembered for one order of the episodes and used in another."""
    trainer = make_trainer(kl_coef=0.1, updates=2)
    groups = answered(trainer)
    trainer.record_logprobs(groups, old=True)
    with torch.no_grad():
        for p in trainer.model.parameters():  # the policy moves on
            p.mul_(1.02)
    whole, figures = caught_gradient(trainer, groups)
    assert figures["kl"] > 0 and figures["ratio/mean"] != 1
    trainer.options.max_tokens_per_batch = 40
    trainer.record_logprobs([], old=True)
    parts, other = caught_gradient(trainer, groups)
    agree(parts, whole, 1e-6)
    assert other == {name: pytest.approx(value, abs=1e-6) for name, value in figures.items()}


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_it_is_that_of_the_formula(make_trainer, full_precision, temperature):
    """The step against a few lines that share no code with it: mean over all, each the mean of its
    tokens.

    Catches: the sampling temperature missing from the log-probs, which trains another policy than
    the one that spoke.
    """
    trainer = make_trainer(temperature=temperature)
    groups = answered(trainer, temperature=temperature)
    got, _ = caught_gradient(trainer, groups)
    loss = 0.0
    for group in groups:
        scores = torch.tensor([parity_of(e) for e in group])
        advantages = (scores - scores.mean()) / (scores.std() + 1e-4)
        for e, advantage in zip(group, advantages, strict=True):
            row = torch.tensor([e.prompt_ids + e.completion_ids])
            log_p = (trainer.model(row) / temperature).log_softmax(-1)[0, :-1]
            logp = log_p.gather(1, row[0, 1:, None])[len(e.prompt_ids) - 1 :]
            loss = loss - advantage * logp.mean() / sum(map(len, groups))
    trainer.model.zero_grad()
    loss.backward()
    agree(got, gradient(trainer.model), 1e-5)


@pytest.mark.parametrize("objective", ["grpo", "dr_grpo", "dapo"])  # one of each way to aggregate
def test_groups_without_variance_are_skipped_but_stay_in_the_denominator(
    make_trainer, full_precision, objective
):
    """Catches: dividing by the episodes that were looked at; then a batch with one lively group
    takes as large a step as one in which all were."""
    trainer = make_trainer(objective=objective)
    trainer.options.normalize = "none"
    groups = answered(trainer)
    for i, group in enumerate(groups):  # the first group is of one mind, the others are not
        for j, e in enumerate(group):
            e.reward = float(i == 0 or j % 2)
    grpo.set_advantages(groups, "none")
    assert [not any(e.advantages.any() for e in g) for g in groups] == [True, False, False, False]
    seen = []
    loss = trainer.loss
    trainer.loss = lambda batch, *rest: (seen.extend(batch), loss(batch, *rest))[1]
    skipped, _ = caught_gradient(trainer, groups)
    assert all(e.advantages.all() for e in seen) and len(seen) < 13
    everyone = [e for g in groups for e in g]
    tokens = sum(e.length for e in everyone)
    loss(everyone, tokens if objective == "dapo" else len(everyone), tokens)[0].backward()
    full = gradient(trainer.model)
    trainer.model.zero_grad()
    agree(skipped, full, 1e-6)
    lively, _ = caught_gradient(trainer, groups[1:])
    share = (
        sum(e.length for g in groups[1:] for e in g) / tokens if objective == "dapo" else 12 / 16
    )
    agree(skipped, lively * share, 1e-5)


def test_how_far_sampler_and_trainer_disagree_is_told_of_the_tokens_looked_at(
    make_trainer, full_precision
):
    trainer = make_trainer()
    groups = answered(trainer)
    for e in groups[0]:
        e.advantages = torch.zeros(len(e.completion_ids))
    assert caught_gradient(trainer, groups)[1]["sampling/logp_difference"] == pytest.approx(
        0, abs=1e-5
    )
    for e in (e for g in groups for e in g):
        e.logprobs = [x + 0.25 for x in e.logprobs]
    figures = caught_gradient(trainer, groups)[1]
    assert figures["sampling/logp_difference"] == pytest.approx(0.25, abs=1e-4)
    assert figures["ratio/mean"] == pytest.approx(1)


def test_invalid_episodes_are_out_of_loss_and_denominator(make_trainer, full_precision):
    trainer = make_trainer()
    groups = answered(trainer)
    spoiled = groups[1][2]

    def reward(e):
        return math.nan if e is spoiled else parity_of(e)

    judge(reward)(groups)
    grpo.set_advantages(groups, "std")
    got, _ = caught_gradient(trainer, groups)
    groups[1].remove(spoiled)
    grpo.set_advantages([groups[1]], "std")
    want, _ = caught_gradient(trainer, groups)
    agree(got, want, 1e-6)


def test_with_a_kl_term_no_group_is_skipped(make_trainer, full_precision):
    """Catches: the pull towards the reference missing for the questions that are always right or
    always wrong."""
    trainer = make_trainer(kl_coef=0.1)
    groups = answered(trainer, reward=lambda e: 1.0)
    with torch.no_grad():
        for p in trainer.model.parameters():
            p.mul_(1.02)
    trainer.record_logprobs(groups, old=False)
    pull, figures = caught_gradient(trainer, groups)
    assert pull.norm() > 0 and figures["kl"] > 0
    assert not any(p.requires_grad for p in trainer.reference.parameters())


def test_kl_in_the_reward_is_the_sum_over_the_completion_and_enters_the_comparison(
    make_trainer, full_precision
):
    """Catches: the mean in place of the sum, the penalty in the loss as well, and one charged after
    the comparison."""
    trainer = make_trainer(kl_coef=0.3, kl_kind="k1", kl_in="reward", normalize="none")
    groups = answered(trainer)
    rewarded = [e.reward for g in groups for e in g]
    with torch.no_grad():
        for p in trainer.model.parameters():  # the policy is no longer its reference
            p.mul_(1.02)
    logged = trainer.take_kl_from_rewards(groups)
    grpo.set_advantages(groups, "none")
    got, figures = caught_gradient(trainer, groups)
    assert [e.reward for g in groups for e in g] == rewarded and "kl" not in figures

    everyone = [e for g in groups for e in g]
    sums = [
        float(trainer_logps(trainer.model, [e]).sum() - trainer_logps(trainer.reference, [e]).sum())
        for e in everyone
    ]
    assert (
        logged["kl"] == pytest.approx(sum(sums) / sum(e.length for e in everyone), rel=1e-4)
        and max(map(abs, sums)) > 1e-2
    )
    plain = make_trainer(normalize="none")
    plain.model.load_state_dict(trainer.model.state_dict())
    for e, kl in zip(everyone, sums, strict=True):
        e.reward -= 0.3 * kl
        del e.kl_penalty
    grpo.set_advantages(groups, "none")
    want, _ = caught_gradient(plain, groups)
    agree(got, want, 1e-4)


def trainer_logps(model, batch):
    with torch.no_grad():
        logps, mask = episode_logprobs(model, batch, 1.0, torch.device("cpu"))
    return logps * mask


def test_nothing_to_learn_takes_no_step(make_trainer):
    trainer = make_trainer()
    before = {name: p.clone() for name, p in trainer.model.state_dict().items()}
    metrics = trainer.update(answered(trainer, reward=lambda e: 0.0))
    assert metrics["loss"] == 0 and metrics["grad_norm"] == 0
    assert all(p.equal(before[name]) for name, p in trainer.model.state_dict().items())


def test_a_step_without_variance_among_several_is_no_accident(make_trainer):
    """Catches: figures of the first optimizer step looked up in one that had none, or the other way
    round."""
    trainer = make_trainer(updates=4)
    for lively in range(4):
        groups = answered(trainer)
        for i, group in enumerate(groups):
            for j, e in enumerate(group):
                e.reward = float(i == lively and j % 2)
        grpo.set_advantages(groups, "std")
        trainer.state.step = lively
        metrics = trainer.update(groups)
        assert {"loss", "grad_norm", "clip_ratio/region_mean", "ratio/mean"} <= set(metrics)
        # only that one group was ever learnt from
        assert metrics["ratio/mean"] == pytest.approx(1, abs=1e-5)


# -- rollouts and advantages -----------------------------------------------------------------------


def test_the_policy_moves_towards_what_is_rewarded(make_trainer, full_precision):
    """A sign error anywhere would show here: after ten steps the reward is common, and its opposite
    would be rare."""
    trainer = make_trainer(prompts=8, group_size=8, max_new_tokens=1, lr=3e-3)
    trainer.judge = judge(lambda e: float(e.completion_ids[0] % 2 == 0))
    earned = [trainer.step(step)["reward"] for step in range(10)]
    assert earned[0] < 0.7 < earned[-1], earned


def test_a_group_of_the_step_can_be_looked_at(make_trainer):
    """What groups.jsonl keeps: the completions of one prompt, with their rewards."""
    trainer = make_trainer()
    trainer.step(0)
    shown = [trainer.transcript(one) for one in trainer.group]
    assert len(shown) == trainer.options.group_size
    assert len({one["prompt"] for one in shown}) == 1 and all("reward" in one for one in shown)


def test_the_questions_of_a_step_are_numbered(make_trainer):
    one, other = make_trainer(), make_trainer(seed=1)
    first = [p.key for p in one.draw(0)]
    assert first == [p.key for p in make_trainer().draw(0)] != [p.key for p in other.draw(0)]
    assert not set(first) & {p.key for p in one.draw(1)}
    four_at_once = [p.prompt for p in make_trainer(prompts=8).draw(0)]
    # number i is number i
    assert four_at_once == [p.prompt for step in (0, 1) for p in one.draw(step)]


def test_too_long_prompts_are_dropped_and_counted(make_trainer):
    trainer = make_trainer()
    task, tokenizer = trainer.task, trainer.tokenizer
    lengths = sorted(len(tokenizer.encode(task.render(p))) for p in task.problems("validation", 50))
    trainer = make_trainer(max_new_tokens=trainer.model.config.max_seq_len - lengths[25])
    drawn = [p for step in range(5) for p in trainer.draw(step)]
    assert len(drawn) == 20 and trainer.state.prompts_dropped > 3
    assert all(len(tokenizer.encode(task.render(p))) <= lengths[25] for p in drawn)
    with pytest.raises(
        UserError, match="hardly any problem of gsm8k-mini fits.*--max-new-tokens 320"
    ):
        make_trainer(max_new_tokens=trainer.model.config.max_seq_len)


@pytest.mark.parametrize(
    "normalize, want",
    [
        ("std", [1.5, -0.5, -0.5, -0.5]),
        ("none", [0.75, -0.25, -0.25, -0.25]),
        ("rloo", [1, -1 / 3, -1 / 3, -1 / 3]),
        ("batch", [2.12, -0.707, -0.707, -0.707]),  # over the std of all eight rewards, sqrt(1 / 8)
        ("reward", [1, 0, 0, 0]),
    ],
)
def test_advantages_are_those_of_the_name(make_trainer, normalize, want):
    groups = answered(make_trainer())[:2]
    for group, scores in zip(groups, ([1, 0, 0, 0], [0, 0, 0, 0]), strict=True):
        for e, score in zip(group, scores, strict=True):
            e.reward = float(score)
    grpo.set_advantages(groups, normalize)
    assert [float(e.advantages[0]) for e in groups[0]] == pytest.approx(want, abs=2e-3)
    assert not any(e.advantages.any() for e in groups[1])
    every = [e for e in groups[0] if len(e.completion_ids) > 1]
    assert all((e.advantages == e.advantages[0]).all() for e in every)


def test_every_step_samples_anew_and_every_run_alike():
    seeds = {rl.mix_seed(seed, step) for seed in range(20) for step in range(50)}
    assert len(seeds) == 1000 and all(0 <= s < 2**63 for s in seeds)
    assert rl.mix_seed(3, 4) == rl.mix_seed(3, 4)


# -- variants --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more",
    [
        *({"objective": name} for name in OBJECTIVES),
        *({"normalize": name} for name in ("none", "rloo", "batch", "reward")),
        *({"aggregation": name} for name in objectives.AGGREGATIONS),
        *({"kl_coef": 0.1, "kl_kind": name} for name in objectives.KL_KINDS),
        {"kl_coef": 0.1, "kl_kind": "k1", "kl_in": "reward"},
        {"kl_coef": 0.1, "kl_in": "reward", "updates": 2},
        {"temperature": 0.7, "style": "cot"},
        {"clip_low": 0.1, "clip_high": 0.3, "updates": 2},
        {"objective": "dapo", "updates": 3, "epochs": 2, "kl_coef": 0.01},
    ],
    ids=lambda more: "-".join(map(str, more.values())),
)
def test_each_variant_takes_a_step(make_trainer, more):
    trainer = make_trainer(**more)
    before = {name: p.clone() for name, p in trainer.model.state_dict().items()}
    metrics = trainer.step(0)
    assert metrics["grad_norm"] > 0 and math.isfinite(metrics["loss"])
    after = trainer.model.state_dict()
    assert all(p.isfinite().all() for p in after.values()) and not all(
        p.equal(before[k]) for k, p in after.items()
    )
    assert ("kl" in metrics) == ("kl_coef" in more)


def test_several_updates_clip_and_the_kl_starts_at_nothing(make_trainer, base, tmp_path):
    """Catches: old log-probs taken after the first update, so that the ratio is 1 and nothing is
    ever clipped."""
    folder = grpo.train(
        options(
            base,
            out=tmp_path / "run",
            steps=3,
            updates=2,
            epochs=3,
            lr=1e-3,
            kl_coef=0.05,
            eval_n=2,
        )
    ).folder
    lines = RunLog.open(folder).metrics("train")
    assert all(0 < line["clip_ratio/region_mean"] < 1 for line in lines)
    assert all(line["ratio/mean"] != 1 for line in lines)
    assert all(line["kl"] > 0 for line in lines)
    single = make_trainer(kl_coef=0.05)
    assert single.step(0)["kl"] == pytest.approx(0, abs=1e-6)  # the reference is where it starts
    assert single.step(1)["kl"] > 0


def test_the_sampling_temperature_is_the_trainers(make_trainer, full_precision):
    """Catches: the temperature missing from the loss, so that the ratio to the sampler's log-probs
    is off at once."""
    trainer = make_trainer(temperature=0.7)
    groups = answered(trainer, temperature=0.7)
    trainer.record_logprobs(groups, old=True)
    for e in (e for g in groups for e in g):
        assert e.old_logprobs.tolist() == pytest.approx(e.logprobs, abs=1e-5)


# -- collapse --------------------------------------------------------------------------------------


def scripted(accuracies):
    """`Trainer.evaluate` that reads its accuracies off a list: sampled and greedy before, then one
    an evaluation."""
    left = list(accuracies)

    def evaluate(self, full):
        scores = Scores(left.pop(0), (0.0, 1.0), 0.0, 0.0, 0, 0.0, 0.0, 1.0, 0.0, 30, 30)
        return Evaluation(replace(scores, greedy=left.pop(0)) if full else scores)

    return evaluate


@pytest.mark.parametrize(
    "accuracies, steps, best",
    [
        # twice below half of the best: stopped, not at the end
        ([0.5, 0.5, 0.6, 0.1, 0.2, 0.1, 0.1], 3, "step-000001"),
        # low once and again, but never twice running
        ([0.5, 0.5, 0.6, 0.1, 0.4, 0.1, 0.5, 0.5, 0.5], 6, "step-000001"),
        ([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], 6, "step-000000"),  # nothing to fall from
    ],
)
def test_a_collapse_stops_the_run_and_keeps_the_best(
    make_trainer, base, tmp_path, capsys, accuracies, steps, best
):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grpo.Trainer, "evaluate", scripted(accuracies))
        result = grpo.train(
            options(
                base, out=tmp_path / "run", steps=6, eval_every=1, save_every=1, keep=1, prompts=2
            )
        )
    folder = result.folder
    assert result.collapsed == (steps < 6) and result.exit_code == int(steps < 6)
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["steps"], summary["best"], summary["last"]) == (
        steps,
        best,
        f"step-{steps:06d}",
    )
    assert summary["accuracy_before"] == accuracies[0]
    assert summary["accuracy_after"] == accuracies[1 + min(steps + 1, 6)]
    assert ("collapsed" in capsys.readouterr().err) == (steps < 6)
    assert {path.name for _, path in RunLog(folder, {}).checkpoints()} == {
        best,
        f"step-{steps:06d}",
    }
    checkpoint.load(folder / "checkpoints" / best)


def test_what_is_saved_with_a_new_best_is_the_state_to_go_on_from(make_trainer, base, tmp_path):
    """Catches: a count of low evaluations saved before it was set back; a resumed run would then
    stop too early."""
    folder = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grpo.Trainer, "evaluate", scripted([0.5, 0.5, 0.1, 0.9, 0.9, 0.9, 0.9]))
        grpo.train(
            options(base, out=folder, steps=3, eval_every=1, save_every=100, keep=9, prompts=2)
        )
    states = {
        step: json.loads((path / "trainer.json").read_text())["trainer"]
        for step, path in RunLog(folder, {}).checkpoints()
    }
    assert (
        states[2]["best"] == "step-000002"
        and states[2]["low_evals"] == 0
        and states[2]["best_accuracy"] == 0.9
    )
    assert states[0]["before"]["accuracy"] == 0.5 == states[0]["best_accuracy"]


def test_the_reward_is_the_weighted_sum_of_the_options(base):
    task = get_task("gsm8k-mini")
    trainer = grpo.Trainer(options(base, reward={"accuracy": 2.0, "format": 0.25}))
    ((e,),) = rollout(
        trainer.model,
        trainer.tokenizer,
        task,
        task.problems("validation", 1),
        max_new_tokens=4,
        seed=0,
    )
    e.grade = task.grade(e.problem, f" #### {e.problem.answer}")
    e.finish_reason = "eos"
    assert trainer.judge([[e]]) == 0 and e.reward == 2.25
    e.finish_reason = "length"
    assert trainer.judge([[e]]) == 0 and e.reward == 2.0

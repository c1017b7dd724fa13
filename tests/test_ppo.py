"""PPO's loop on a tiny model: what goes into the gradients of policy and critic, and what a run
leaves behind.

The formulas themselves are in test_values.py and test_objectives.py.
"""

import json
import math
import shutil
import signal

import pytest
import safetensors.torch
import torch
from conftest import judge, parity_of, pay

from minilrm import checkpoint, cli, machine, ppo, rollout
from minilrm.errors import UserError
from minilrm.loop import run as loop_run
from minilrm.rollout import episode_states
from minilrm.runlog import RunLog

BOTH = pytest.mark.parametrize("kind", ["separate", "shared"])


@pytest.fixture
def make_trainer(base, monkeypatch):
    pay(monkeypatch)
    monkeypatch.setattr(loop_run, "write_report", lambda folder: folder)

    def make(**more):
        return ppo.Trainer(options(base, **more))

    return make


def options(base, **more):
    return ppo.Options(
        **{
            "init": str(base),
            "prompts": 4,
            "group_size": 4,
            "max_new_tokens": 12,
            "threads": 1,
            "device": "cpu",
            "warmup": 0,
            "eval_n": 4,
            "eval_quick": 4,
        }
        | more
    )


def answered(trainer, shake=True):
    """The groups of a step with all that an update needs; the critic has learnt something already,
    if only nonsense."""
    if shake:
        with torch.no_grad():
            trainer.critic.head.linear.weight.normal_(
                generator=torch.Generator().manual_seed(0)
            ).mul_(0.05)
    groups = trainer.sample(0)
    trainer.record_values(groups)
    ppo.set_advantages(rollout.valid_episodes(groups), trainer.options)
    return groups


def gradient(model):
    return torch.cat(
        [
            torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten()
            for p in model.parameters()
        ]
    )


def caught_gradients(trainer, groups, policy_too=True):
    """The gradients of `optimizer_step` (policy, critic), caught where the guards would use them;
    and its metrics."""
    caught = {}

    def catcher(name):
        def catch(model, optimizers, loss):
            caught[name] = gradient(model)
            model.zero_grad()
            return 1.0

        return catch

    trainer.guard.step, trainer.critic_guard.step = catcher("policy"), catcher("critic")
    metrics = trainer.optimizer_step(groups, policy_too)
    return caught, metrics


def agree(a, b, relative):
    assert b.norm() > 0 and (a - b).norm() <= relative * b.norm()


def weights_of(model):
    return {name: p.clone() for name, p in model.state_dict().items()}


def same(a, b):
    return all(a[name].equal(b[name]) for name in a)


# -- the gradients of a batch ----------------------------------------------------------------------


@BOTH
def test_the_gradients_are_those_of_the_formulas(make_trainer, full_precision, kind):
    """The step against a few lines that share no code with it, one episode at a time, without
    padding.

    Catches: values that stand beside the wrong token, a temperature forgotten, a critic that trains
    the policy's trunk (or one that shares it and does not), a mean over sequences.
    """
    trainer = make_trainer(
        critic=kind, temperature=0.7, whiten=False, value_coef=0.3, value_clip=None
    )
    groups = answered(trainer)
    caught, _ = caught_gradients(trainer, groups)
    everyone = [e for g in groups for e in g]
    trunk = trainer.model if kind == "shared" else trainer.critic.trunk
    loss = 0.0
    for e in everyone:
        row, start = torch.tensor([e.prompt_ids + e.completion_ids]), len(e.prompt_ids) - 1
        log_p = (trainer.model(row) / 0.7).log_softmax(-1)[0, :-1]
        logp = log_p.gather(1, row[0, 1:, None])[start:, 0]
        values = trainer.critic.head.linear(trunk.hidden(row))[0, start:-1, 0]
        held, to_come, following = values.detach(), 0.0, 0.0
        advantages = torch.zeros(len(held))
        for t in reversed(range(len(held))):  # lambda .95; the reward is the last token's
            delta = (parity_of(e) if t == len(held) - 1 else following) - held[t]
            to_come = delta + 0.95 * to_come
            advantages[t], following = to_come, held[t]
        loss = (
            loss - (advantages * logp).sum() + 0.3 * (values - advantages - held).square().sum() / 2
        )
    (loss / sum(e.length for e in everyone)).backward()
    agree(caught["policy"], gradient(trainer.model), 1e-5)
    agree(caught["critic"], gradient(trainer.critic), 1e-5)


@BOTH
def test_the_gradients_do_not_depend_on_how_the_batch_was_cut(make_trainer, full_precision, kind):
    trainer = make_trainer(critic=kind, updates=2, kl_coef=0.1)
    groups = answered(trainer)
    with torch.no_grad():
        for p in (*trainer.model.parameters(), *trainer.critic.head.parameters()):  # both move on
            p.mul_(1.02)
    whole, figures = caught_gradients(trainer, groups)
    assert figures["ratio/mean"] != 1 and figures["loss/value_avg"] > 0
    for budget in (16, 40):
        trainer.options.max_tokens_per_batch = budget
        parts, other = caught_gradients(trainer, groups)
        for name in ("policy", "critic"):
            agree(parts[name], whole[name], 1e-5)
        assert other == {name: pytest.approx(value, abs=1e-5) for name, value in figures.items()}


def test_a_value_is_said_before_its_token_is_seen(make_trainer, full_precision):
    """Catches: V of the state after the token, which can take all that was to be learnt away from
    the advantage."""
    trainer = make_trainer(prompts=1)
    (group,) = answered(trainer)
    e = max(group, key=lambda e: e.length)
    states = episode_states(trainer.model, [e], trainer.device)[0]
    assert states.shape == (1, len(e.completion_ids), trainer.model.config.dim)
    place = len(e.completion_ids) // 2
    before = trainer.critic([e], None, trainer.device)[0].detach()
    e.completion_ids = [*e.completion_ids[:place], 77, *e.completion_ids[place + 1 :]]
    after = trainer.critic([e], None, trainer.device)[0].detach()
    assert after[: place + 1].equal(before[: place + 1])
    assert (after[place + 1 :] != before[place + 1 :]).all()


def test_tool_text_and_invalid_episodes_teach_nothing(make_trainer, full_precision):
    """Catches: a mask that reaches the policy's loss but not the critic's, or GAE; a reward that
    does not exist."""
    trainer = make_trainer(whiten=False)
    groups = answered(trainer)
    with_tool, spoiled = groups[0][0], groups[1][2]
    with_tool.mask = [1, 0, 0] + [1] * (len(with_tool.mask) - 3)
    spoiled.valid, spoiled.reward = False, math.nan
    ppo.set_advantages(rollout.valid_episodes(groups), trainer.options)
    assert with_tool.advantages[1:3].tolist() == [0, 0] and with_tool.advantages[0] != 0
    whole, _ = caught_gradients(trainer, groups)
    assert all(g.isfinite().all() for g in whole.values())
    with_tool.returns[1:3] = with_tool.values[1:3] = with_tool.advantages[1:3] = 99.0
    groups[1].remove(spoiled)
    again, _ = caught_gradients(trainer, groups)
    assert all(again[name].equal(whole[name]) for name in whole)


# -- steps -----------------------------------------------------------------------------------------


def test_a_critic_starts_at_nothing_and_its_trunk_as_the_policys_copy(make_trainer):
    trainer = make_trainer()
    assert same(trainer.critic.trunk.state_dict(), trainer.model.state_dict())
    groups = answered(trainer, shake=False)
    assert all(e.values.eq(0).all() for g in groups for e in g)
    assert (
        trainer.critic.trunk is not trainer.model
        and make_trainer(critic="shared").critic.trunk is None
    )


@BOTH
def test_while_the_critic_warms_up_the_policy_stays(make_trainer, kind):
    """Catches: a warm-up that trains the trunk which a shared critic stands on, and with it the
    policy."""
    trainer = make_trainer(critic=kind, critic_warmup=2)
    policy, critic = weights_of(trainer.model), weights_of(trainer.critic)
    for step in range(3):
        metrics = trainer.step(step)
        assert same(policy, trainer.model.state_dict()) == (step < 2) == (metrics["grad_norm"] == 0)
        assert metrics["val/grad_norm"] > 0 and not same(critic, trainer.critic.state_dict())


@BOTH
def test_the_policy_moves_towards_what_is_rewarded(make_trainer, full_precision, kind):
    """A sign error anywhere would show here: after ten steps the reward is common, and its opposite
    would be rare."""
    trainer = make_trainer(
        critic=kind, prompts=8, group_size=8, max_new_tokens=1, lr=3e-3, critic_lr=3e-3
    )
    trainer.judge = judge(lambda e: float(e.completion_ids[0] % 2 == 0))
    earned = [trainer.step(step)["reward"] for step in range(10)]
    assert earned[0] < 0.7 < earned[-1], earned


@pytest.mark.parametrize("kind, explained", [("separate", 0.15), ("shared", 0.05)])
def test_the_critic_learns_to_foresee(make_trainer, full_precision, kind, explained):
    """The reward is settled by the first token: what follows can be foreseen, at this token it
    cannot.

    While it warms up, a shared critic has but a head, and sees only what the policy's trunk happens
    to tell of parity.
    """
    trainer = make_trainer(
        critic=kind,
        prompts=8,
        group_size=8,
        max_new_tokens=3,
        critic_lr=1e-2,
        critic_warmup=99,
        value_clip=None,
    )
    trainer.judge = judge(lambda e: float(e.completion_ids[0] % 2))
    seen = []
    for step in range(12):
        seen.append(trainer.step(step))
        trainer.state.step += 1
    assert seen[0]["val/mean"] == 0 and 0.3 < seen[-1]["val/mean"] < 0.7
    assert seen[-1]["loss/value_avg"] < seen[0]["loss/value_avg"] / 1.5
    assert (
        seen[0]["val/explained_variance"] == 0 and seen[-1]["val/explained_variance"] > explained
    ), seen[-1]


def test_several_updates_clip(make_trainer):
    """Catches: old log-probs or old values taken after the first update, so that nothing is ever
    clipped."""
    metrics = make_trainer(updates=2, epochs=3, lr=1e-3, critic_lr=1e-2, value_clip=0.01).step(0)
    assert 0 < metrics["clip_ratio/region_mean"] < 1 and metrics["ratio/mean"] != 1
    assert 0 < metrics["val/clipfrac_avg"] < 1
    single = make_trainer().step(0)
    assert single["clip_ratio/region_mean"] == single["val/clipfrac_avg"] == 0
    assert single["ratio/mean"] == pytest.approx(1)


def test_the_kl_is_paid_out_of_the_reward(make_trainer, full_precision):
    """Catches: the reference forgotten in the credit, or taken from the policy that has moved."""
    trainer = make_trainer(kl_coef=0.5, whiten=False, lr=1e-3)
    assert trainer.step(0)["kl"] == pytest.approx(0, abs=1e-6)  # the reference is where it starts
    trainer.state.step = 1
    groups = trainer.sample(1)
    trainer.record_values(groups)
    for e in rollout.valid_episodes(groups):
        e.values = torch.zeros(len(e.completion_ids))
    trainer.options.lam = 1.0
    figures = ppo.set_advantages(rollout.valid_episodes(groups), trainer.options)
    for e in rollout.valid_episodes(groups):
        k1 = e.old_logprobs - e.ref_logprobs
        assert e.advantages[0].item() == pytest.approx(
            parity_of(e) - 0.5 * k1.sum().item(), abs=1e-5
        )
        assert e.advantages[-1].item() == pytest.approx(
            parity_of(e) - 0.5 * k1[-1].item(), abs=1e-5
        )
    assert figures["kl"] != 0 and not any(p.requires_grad for p in trainer.reference.parameters())


@pytest.mark.parametrize(
    "more",
    [
        {"group_size": 1},
        {"lam": 0.0, "gamma": 0.99},
        {"whiten": False, "style": "cot"},
        {"overlong_cache": 6, "clip_low": 0.1, "value_clip": None},
    ],
    ids=str,
)
def test_each_variant_takes_a_step(make_trainer, more):
    trainer = make_trainer(**more)
    before = weights_of(trainer.model)
    metrics = trainer.step(0)
    assert (
        metrics["grad_norm"] > 0
        and metrics["val/grad_norm"] > 0
        and not same(before, trainer.model.state_dict())
    )
    assert all(math.isfinite(value) for key, value in metrics.items() if key != "accuracy_thinking")
    assert {
        "reward",
        "reward_std",
        "entropy",
        "completions/mean_length",
        "loss/policy_avg",
        "loss/value_avg",
        "ratio/mean",
        "val/clipfrac_avg",
        "val/explained_variance",
        "clip_ratio/region_mean",
        "learning_rate",
    } <= set(metrics)


def test_a_batch_without_a_valid_reward_changes_nothing(make_trainer):
    trainer = make_trainer()
    trainer.judge = judge(lambda e: math.nan)
    before = weights_of(trainer.model) | weights_of(trainer.critic)
    metrics = trainer.step(0)
    assert metrics["invalid"] == 16 and metrics["loss"] == 0
    assert same(before, weights_of(trainer.model) | weights_of(trainer.critic))


@pytest.mark.parametrize("where", ["policy", "critic"])
def test_a_nan_skips_the_step_of_both_and_is_counted_once(make_trainer, monkeypatch, where):
    trainer = make_trainer()
    loss = trainer.loss
    monkeypatch.setattr(trainer, "loss", lambda *args: (loss(*args)[0] * math.nan, loss(*args)[1]))
    before = weights_of(trainer.model) | weights_of(trainer.critic)
    trainer.step(0)
    assert trainer.state.skipped_steps == 1
    assert same(before, weights_of(trainer.model) | weights_of(trainer.critic))


# -- runs ------------------------------------------------------------------------------------------


def run(base, out, **more):
    return ppo.train(
        options(
            base,
            out=out,
            **{
                "steps": 4,
                "prompts": 2,
                "eval_every": 2,
                "save_every": 2,
                "updates": 2,
                "max_new_tokens": 8,
                "critic_warmup": 1,
            }
            | more,
        )
    ).folder


def left_behind(folder):
    """The last checkpoint's tensors, and the log without what the clock put into it."""
    last = RunLog(folder, {}).checkpoints()[-1][1]
    tensors = {
        f"{file}/{name}": tensor
        for file in ("model", "heads", "optimizer")
        for name, tensor in safetensors.torch.load_file(last / f"{file}.safetensors").items()
    }
    lines = [
        {
            key: value
            for key, value in json.loads(line).items()
            if key.split("/")[0] not in ("seconds", "elapsed")
        }
        for line in (folder / "metrics.jsonl").read_text().splitlines()
    ]
    return tensors, lines


@BOTH
def test_a_resumed_run_is_the_run_that_was_never_interrupted(
    make_trainer, base, tmp_path, capsys, kind
):
    """Ctrl-C in step 3, then --resume; and again as after kill -9, from the checkpoint before the
    last.

    Catches: a critic that starts anew at 0, or as a copy of the policy of today; momentum of the
    critic lost.
    """
    whole = run(base, tmp_path / "whole", critic=kind)
    cut, count, original = tmp_path / "cut", [], ppo.set_advantages

    def interrupted(*args):
        count.append(1)
        if len(count) == 3:
            signal.raise_signal(signal.SIGINT)
        return original(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ppo, "set_advantages", interrupted)
        run(base, cut, critic=kind)
    assert (
        f"stopped at step 3; resume with: python -m minilrm.ppo --resume {cut}"
        in capsys.readouterr().err
    )
    ppo.train(ppo.Options(resume=cut))
    killed = tmp_path / "killed"
    shutil.copytree(whole, killed)
    shutil.rmtree(killed / "checkpoints" / "step-000004")
    ppo.train(ppo.Options(resume=killed))
    tensors, lines = left_behind(whole)
    for other in (cut, killed):
        others, same_lines = left_behind(other)
        assert tensors.keys() == others.keys() and same(tensors, others) and lines == same_lines
    assert any(name.startswith("heads/critic.") for name in tensors)


def test_what_a_run_leaves_behind(make_trainer, base, tmp_path):
    folder = run(base, tmp_path / "run")
    summary = json.loads((folder / "summary.json").read_text())
    assert (
        summary["steps"] == 4
        and summary["tokens_generated"] > 0
        and summary["last"] == "step-000004"
    )
    assert json.loads((folder / "config.json").read_text())["command"] == "ppo"
    model, tokenizer, info = checkpoint.load(folder / "checkpoints" / summary["last"])
    assert tokenizer is not None and info.task == "gsm8k-mini"
    heads = {"critic": ppo.Critic(model, separate=True)}
    before = weights_of(heads["critic"])
    checkpoint.load_heads(folder / "checkpoints" / summary["last"], heads)
    assert not same(before, heads["critic"].state_dict())
    assert [line["step"] for line in RunLog.open(folder).metrics("eval")] == [0, 2, 4]


def test_a_run_does_not_go_on_with_another_kind_of_critic(make_trainer, base, tmp_path):
    folder = run(base, tmp_path / "run", steps=1)
    with pytest.raises(UserError, match="of a run with other options"):
        ppo.train(ppo.Options(resume=folder, critic="shared", steps=2))


@pytest.mark.parametrize(
    "argv, words",
    [
        (["--critic", "both"], "--critic cannot be 'both'"),
        (["--lam", "1.5"], "--lam must be at most 1"),
        (["--gamma", "x"], "--gamma must be a number"),
        (["--value-clip", "0"], "--value-clip must be above 0"),
        (["--lambda", "1"], "unknown option --lambda"),
        (["--task", "gsm8k-mimi"], "did you mean gsm8k-mini"),
        (["--overlong-cache", "5000"], "--overlong-cache 5000 is longer"),
        (["--init", "nowhere"], "no checkpoint 'nowhere'"),
        (["--resume", "nowhere"], "no run folder nowhere"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(capsys, argv, words):
    with pytest.raises(SystemExit) as end:
        cli.run_command(ppo.train, ppo.Options, argv, prog="python -m minilrm.ppo", description="")
    err = capsys.readouterr().err
    assert end.value.code == 2 and err.count("\n") == 1 and words in err


@BOTH
def test_on_two_threads_each_micro_batch_is_worked_on_by_one(make_trainer, kind, monkeypatch):
    """Catches: one backward pass on two threads, which add what a gather sends back in the order in
    which they happen to come: the same seed gave other weights each time."""
    # rounding to 8 bits would hide a small difference
    monkeypatch.setattr(machine, "bfloat16_pays", lambda device: False)
    trainer = make_trainer(critic=kind, max_tokens_per_batch=80)
    groups = answered(trainer)
    alone, _ = caught_gradients(trainer, groups)
    threads, loss = [], trainer.loss

    def watched(*args):
        threads.append(torch.get_num_threads())
        return loss(*args)

    trainer.loss = watched
    torch.set_num_threads(2)
    try:
        together, _ = caught_gradients(trainer, groups)
    finally:
        torch.set_num_threads(1)
    assert len(threads) > 1 and set(threads) == {1}
    for name in ("policy", "critic"):
        agree(together[name], alone[name], 1e-5)

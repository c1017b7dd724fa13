"""What a tool inserted is read and never learnt: GRPO, PPO and distillation on completions that
hold a real tool's result, some of which end with it.

What stands at inserted tokens (log-probs, values, advantages) is made nonsense; neither loss nor KL
nor advantage may change by a bit. That the test would see it, a mask of ones shows.
"""

import copy
import math
from collections import Counter

import pytest
import torch
from conftest import judge, pay

from minilrm import batches, checkpoint, distill, grpo, objectives, ppo, rollout, traces
from minilrm.model import Transformer
from minilrm.sampler import Force
from minilrm.tasks import get_task
from minilrm.tools import ToolCalls, calculate

SAID = "<tool:calculator>12*7</tool>\n#### 84"
COMMON = {"prompts": 2, "group_size": 3, "threads": 1, "device": "cpu", "eval_n": 4, "warmup": 0}


@pytest.fixture
def trainers(base, monkeypatch, full_precision):
    pay(monkeypatch)

    def make(module, **more):
        options = module.Options(init=str(base), max_new_tokens=40, **COMMON, **more)
        trainer = module.Trainer(options)
        if trainer.reference:  # the policy is no longer its reference
            with torch.no_grad():
                for p in trainer.model.parameters():
                    p.mul_(1.02)
        return trainer

    return make


def called(model, tokenizer, problems, room=40):
    """Groups of three: the first calls a tool and answers, the second ends within the tool's
    result, the third says what it likes."""
    call = tokenizer.encode(SAID[: SAID.index("\n")])
    rest = [*tokenizer.encode(SAID[SAID.index("\n") :]), tokenizer.eos_id]
    asked = Counter()

    def allowed(row, ids):  # asked only where something is sampled
        if row % 3 == 2:
            return None
        asked[row] += 1
        return Force([[*call, *rest][asked[row] - 1]])

    calls = ToolCalls(tokenizer, {"calculator": calculate})
    groups = rollout.rollout(
        model, tokenizer, get_task("gsm8k-mini"), problems, group_size=3, max_new_tokens=room,
        seed=0, allowed=allowed, intervene=calls, workers=None,
    )  # fmt: skip
    for group in groups:
        cut(group[1])
    assert all(sum(not m for m in e.mask) >= 3 for g in groups for e in g[:2])
    assert all(g[0].mask[-1] == 1 and g[1].mask[-1] == 0 for g in groups)
    return groups


def cut(e):
    """An episode that ends with its first inserted tokens, as where the room is used up."""
    end = e.mask.index(0)
    end += next(n for n, m in enumerate([*e.mask[end:], 1]) if m)
    for name in ("completion_ids", "mask", "logprobs"):
        setattr(e, name, getattr(e, name)[:end])


def rewarded(groups):
    judge(lambda e: float(len(e.completion_ids) % 5))(groups)
    for group in groups:  # no two alike, whatever was sampled
        for number, e in enumerate(group):
            e.reward = (0.25, 1.0, 0.0)[number]
    return groups


def spoil(groups, nonsense=math.nan):
    """Copies with nonsense at every inserted token."""
    groups = copy.deepcopy(groups)
    for e in (e for g in groups for e in g):
        inserted = ~torch.tensor(e.mask, dtype=torch.bool)
        for name in ("old_logprobs", "ref_logprobs", "values", "returns", "advantages"):
            if getattr(e, name) is not None:
                setattr(e, name, getattr(e, name).masked_fill(inserted, nonsense))
    return groups


def caught(trainer, groups, *guards):
    """The gradients and the loss of `optimizer_step`; no step is taken."""
    found = []

    def catch(model, optimizers, loss):
        found.extend(p.grad.clone() for p in model.parameters() if p.grad is not None)
        model.zero_grad()
        return 1.0

    for guard in guards:
        guard.step = catch
    return found, trainer.optimizer_step(groups)


def equal(a, b):
    return len(a) == len(b) > 0 and all(x.equal(y) for x, y in zip(a, b, strict=True))


def by_hand(e, first, second):
    """The sum of a difference over the sampled tokens, one by one."""
    pairs = zip(first.tolist(), second.tolist(), e.mask, strict=True)
    return sum(a - b for a, b, chosen in pairs if chosen)


# -- GRPO ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", objectives.OBJECTIVES)
def test_grpo_learns_nothing_of_a_result(trainers, objective):
    trainer = trainers(grpo, objective=objective, kl_coef=0.1, epochs=2)
    groups = rewarded(called(trainer.model, trainer.tokenizer, trainer.draw(0)))
    grpo.set_advantages(groups, "std")
    trainer.record_logprobs(groups, old=True)
    whole, figures = caught(trainer, groups, trainer.guard)
    again, same = caught(trainer, spoil(groups), trainer.guard)
    assert equal(whole, again) and figures == same and all(g.isfinite().all() for g in whole)
    forged = copy.deepcopy(groups)
    for e in (e for g in forged for e in g):
        e.mask = [1] * len(e.mask)
    assert not equal(whole, caught(trainer, forged, trainer.guard)[0])


def test_grpos_kl_in_the_reward_is_that_of_the_sampled_tokens(trainers):
    trainer = trainers(grpo, kl_coef=0.3, kl_kind="k1", kl_in="reward", normalize="none")
    groups = rewarded(called(trainer.model, trainer.tokenizer, trainer.draw(0)))
    logged = trainer.take_kl_from_rewards(groups)
    everyone, total = [e for g in groups for e in g], 0.0
    for e in everyone:
        kl = by_hand(e, e.old_logprobs, e.ref_logprobs)
        assert e.kl_penalty == pytest.approx(0.3 * kl, rel=1e-4, abs=1e-6)
        total += kl
    assert logged["kl"] == pytest.approx(total / sum(sum(e.mask) for e in everyone), rel=1e-4)


# -- PPO -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("critic", ["separate", "shared"])
def test_ppo_learns_nothing_of_a_result_and_loses_no_reward(trainers, critic):
    trainer = trainers(ppo, critic=critic, kl_coef=0.1, whiten=False, gamma=1.0, lam=1.0)
    with torch.no_grad():
        trainer.critic.head.linear.weight.normal_(generator=torch.Generator().manual_seed(0))
        trainer.critic.head.linear.weight.mul_(0.05)
    groups = rewarded(called(trainer.model, trainer.tokenizer, trainer.draw(0)))
    trainer.record_values(groups)
    spoiled = spoil(groups)
    figures = ppo.set_advantages(rollout.valid_episodes(groups), trainer.options)
    same = ppo.set_advantages(rollout.valid_episodes(spoiled), trainer.options)
    assert figures == same
    for g, h in zip(groups, spoiled, strict=True):
        for e, other in zip(g, h, strict=True):
            chosen = torch.tensor(e.mask, dtype=torch.bool)
            assert e.advantages.equal(other.advantages) and not e.advantages[~chosen].any()
            # With gamma = lam = 1 the first return is all that the episode earned: the reward
            # came, whatever stands at its end, and each sampled token paid its KL.
            earned = e.reward - 0.1 * by_hand(e, e.old_logprobs, e.ref_logprobs)
            assert e.returns[0].item() == pytest.approx(earned, abs=1e-4)
            last = max(t for t, m in enumerate(e.mask) if m)
            paid = e.old_logprobs[last] - e.ref_logprobs[last]
            want = e.reward - 0.1 * float(paid)
            assert e.returns[last].item() == pytest.approx(want, abs=1e-4)
    guards = trainer.guard, trainer.critic_guard
    whole, metrics = caught(trainer, groups, *guards)
    again, other = caught(trainer, spoil(groups), *guards)
    assert equal(whole, again) and metrics == other and all(g.isfinite().all() for g in whole)


def test_ppos_whitening_is_over_the_sampled_tokens(trainers):
    trainer = trainers(ppo, whiten=True)
    groups = rewarded(called(trainer.model, trainer.tokenizer, trainer.draw(0)))
    trainer.record_values(groups)
    ppo.set_advantages(everyone := rollout.valid_episodes(groups), trainer.options)
    inside = torch.cat([e.advantages[torch.tensor(e.mask, dtype=torch.bool)] for e in everyone])
    assert inside.mean().abs() < 1e-5 and inside.std() == pytest.approx(1, abs=1e-2)


# -- distillation ----------------------------------------------------------------------------------


@pytest.mark.parametrize("hard, beta", [(1.0, 0.0), (0.0, 0.0), (0.3, 0.5)])
def test_distillation_learns_nothing_of_a_result(base, tokenizer, full_precision, hard, beta):
    """Neither from the student's own samples nor from a teacher's traces."""
    teacher, pupil = (checkpoint.load(base)[0] for _ in range(2))
    with torch.no_grad():
        for p in pupil.parameters():
            p.mul_(1.02)
    problems = get_task("gsm8k-mini").problems("train", 2)
    episodes = [e for g in called(teacher, tokenizer, problems) for e in g]
    seen = []
    pupil.hidden = lambda ids: seen.append(Transformer.hidden(pupil, ids)) or seen[-1]
    ((ids, learnt),) = batches.example_batches(episodes, 4096)
    assert learnt.sum() == sum(sum(e.mask) for e in episodes) < sum(len(e.mask) for e in episodes)
    loss = distill.loss_of(
        pupil, teacher, ids, learnt, hard=hard, beta=beta, temperature=1.0,
        denominator=int(learnt.sum()),
    )  # fmt: skip
    (gradient,) = torch.autograd.grad(loss, seen)
    assert gradient[~learnt[:, 1:]].eq(0).all() and gradient[learnt[:, 1:]].ne(0).any(-1).all()


def test_a_pool_keeps_what_was_inserted_and_that_nobody_wrote_it(base, tokenizer, tmp_path):
    """Catches: traces that a tool wrote a part of, learnt by heart as if the teacher had, or
    refused when they are read again."""
    task, model = get_task("gsm8k-mini"), checkpoint.load(base)[0]
    episodes = [g[0] for g in called(model, tokenizer, task.problems("train", 2))]
    lines = [{"task": task.name} | traces.NOTHING]
    lines += [traces.as_record(tokenizer, e) for e in episodes]
    path = tmp_path / "traces.jsonl"
    path.write_text("".join(traces.json.dumps(line) + "\n" for line in lines))
    pool = traces.read_pool(path, task, tokenizer)
    assert [row.mask for row in pool.examples] == [e.mask for e in episodes]
    assert [row.completion_ids for row in pool.examples] == [e.completion_ids for e in episodes]
    assert 0 in episodes[0].mask and episodes[0].text == SAID
    episodes[0].mask = [1] * len(episodes[0].mask)
    assert "mask" not in traces.as_record(tokenizer, episodes[0])

"""Resuming: a run goes on as if it had never stopped, or, if a user asks, with another rate."""

import copy
import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from minilrm import checkpoint, sft
from minilrm.errors import UserError
from minilrm.model import ScalarHead
from minilrm.optim import adamw, lr_factor, remember_lr, set_lr
from minilrm.tasks.gsm8k_mini import GSM8KMini
from tests.checkpoints import (
    TINY,
    TOKENIZER,
    flip_a_bit,
    muon_and_adamw,
    new_model,
    refused,
    same_weights,
    save_one,
    train,
)

# -- Bit for bit -----------------------------------------------------------------------------------


def others(model):
    """Further kinds of state: two groups of parameters, AMSGrad's extra tensors, a value that is
    None, none at all."""
    ps = list(model.parameters())
    return remember_lr(
        {
            "amsgrad": torch.optim.AdamW(
                [{"params": ps[:3], "lr": 1e-2}, {"params": ps[3:6]}], amsgrad=True
            ),
            "momentum": torch.optim.SGD(ps[6:9], lr=0.1, momentum=0.9),
            "plain": torch.optim.SGD(ps[9:], lr=0.1),
        }
    )


@pytest.mark.parametrize("make", [muon_and_adamw, others])
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(make, tmp_path):
    model = new_model()
    optimizers = make(model)
    train(model, optimizers, range(3))
    state = {"step": 3, "best": None, "seconds": 0.1 + 0.2, "seen": [1, 2]}
    checkpoint.save(
        tmp_path / "step-000003", model, TOKENIZER, optimizers=optimizers, trainer=state
    )
    at_save = {name: optimizer.state_dict() for name, optimizer in optimizers.items()}
    tensors = {
        (name, i, key): value.clone()
        for name, saved in at_save.items()
        for i, entry in saved["state"].items()
        for key, value in entry.items()
        if value is not None
    }
    train(model, optimizers, range(3, 6))

    again, _, _ = checkpoint.load(tmp_path / "step-000003")
    fresh = make(again)
    assert checkpoint.load_trainer(tmp_path / "step-000003", fresh) == state
    for (name, i, key), value in tensors.items():
        assert torch.equal(fresh[name].state_dict()["state"][i][key], value)
    train(again, fresh, range(3, 6))
    assert same_weights(model, again)


def test_without_the_optimizers_a_resumed_run_is_another():
    """The test above would prove little if the states did not matter."""
    model = new_model()
    optimizers = muon_and_adamw(model)
    train(model, optimizers, range(3))
    again = new_model()
    again.load_state_dict(model.state_dict())
    train(model, optimizers, range(3, 6))
    train(again, muon_and_adamw(again), range(3, 6))
    assert not same_weights(model, again)


def test_a_trainer_of_another_run_is_refused_and_changes_nothing(tmp_path):
    model = new_model()
    optimizers = muon_and_adamw(model)
    train(model, optimizers, range(2))
    checkpoint.save(tmp_path / "a", model, TOKENIZER, optimizers=optimizers, trainer={"step": 2})
    with pytest.raises(UserError, match="trainer.json.*other options.*'muon', 'adamw'.*'adamw'"):
        checkpoint.load_trainer(tmp_path / "a", {"adamw": torch.optim.AdamW(model.parameters())})
    wider = muon_and_adamw(new_model(replace(TINY, ffn_dim=24)))
    with pytest.raises(UserError, match="shape"):
        checkpoint.load_trainer(tmp_path / "a", wider)
    assert not any(optimizer.state for optimizer in wider.values())
    deeper = muon_and_adamw(new_model(replace(TINY, n_layers=3)))
    with pytest.raises(UserError, match="other options"):
        checkpoint.load_trainer(tmp_path / "a", deeper)
    save_one(tmp_path / "finished")
    with pytest.raises(UserError, match="has no trainer.json"):
        checkpoint.load_trainer(tmp_path / "finished", optimizers)


def test_a_resume_skips_broken_checkpoints_names_them_and_sets_them_aside(tmp_path, capsys):
    model = new_model()
    optimizers = muon_and_adamw(model)
    for step in (1, 2, 3):
        train(model, optimizers, range(step - 1, step))
        folder = tmp_path / f"step-{step:06d}"
        checkpoint.save(folder, model, None, optimizers=optimizers, trainer={"step": step})
    flip_a_bit(tmp_path / "step-000003/optimizer.safetensors")
    (tmp_path / "step-000003.broken").mkdir()  # of an earlier resume
    again = new_model(seed=1)
    step, trainer = checkpoint.resume(tmp_path, again, muon_and_adamw(again))
    assert step == 2 and trainer == {"step": 2}
    assert same_weights(again, checkpoint.load(tmp_path / "step-000002")[0])
    assert "skipped" in (said := capsys.readouterr().err) and "step-000003" in said
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "step-000001",
        "step-000002",
        "step-000003.broken",
    ]


def test_a_resume_with_a_model_or_optimizers_of_another_run_changes_nothing(tmp_path):
    model = new_model()
    checkpoint.save(tmp_path / "step-000001", model, None, optimizers=muon_and_adamw(model))
    narrow = new_model(replace(TINY, ffn_dim=24), seed=1)
    refused(
        lambda: checkpoint.resume(tmp_path, narrow, muon_and_adamw(narrow)), "another model", "mlp"
    )
    other = new_model(seed=1)
    refused(lambda: checkpoint.resume(tmp_path, other, adamw(other, 1e-3)), "other options")
    assert same_weights(other, new_model(seed=1))


# -- With other options ----------------------------------------------------------------------------


class PolicyAndCritic(nn.Module):
    """What ppo trains: two models, each with an AdamW of its own."""

    def __init__(self):
        super().__init__()
        self.policy, self.critic = new_model(), ScalarHead(TINY.dim)


def critic_and_policy(both, factor=1.0):
    return adamw(both.policy, 3e-3 * factor) | {
        "critic": adamw(both.critic, 1e-2 * factor)["adamw"]
    }


def learn(both, optimizers, steps):
    for step in steps:
        ids = torch.randint(0, 292, (4, 12), generator=torch.Generator().manual_seed(step))
        set_lr(optimizers, 1 - step / 10)
        states = both.policy.hidden(ids)
        (states.square().mean() + (both.critic(states) - 1).square().mean()).backward()
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad()


KINDS = {
    "muon and adamw": (new_model, muon_and_adamw, train),
    "adamw": (new_model, lambda model, factor=1.0: adamw(model, 3e-3 * factor), train),
    "a critic's adamw": (PolicyAndCritic, critic_and_policy, learn),
}


def save_optimizers(folder, optimizers):
    """A checkpoint for its optimizers alone."""
    return checkpoint.save(folder, new_model(), None, optimizers=optimizers)


@pytest.mark.parametrize("make, optimizers_of, go", KINDS.values(), ids=KINDS.keys())
def test_resuming_with_another_lr_trains_with_it_from_the_next_step_on(
    make, optimizers_of, go, tmp_path
):
    """As if the rate had been changed in the run itself: nothing but the rate differs."""
    model = make()
    optimizers = optimizers_of(model)
    go(model, optimizers, range(3))
    save_optimizers(tmp_path / "a", optimizers)
    at_save = copy.deepcopy(model)
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group["initial_lr"] *= 0.5
    go(model, optimizers, range(3, 6))

    fresh = optimizers_of(at_save, 0.5)
    checkpoint.load_trainer(tmp_path / "a", fresh)
    set_lr(fresh, 1.0)
    rates = [optimizer.param_groups[0]["lr"] for optimizer in fresh.values()]
    assert rates == [o.param_groups[0]["lr"] for o in optimizers_of(make(), 0.5).values()]
    go(at_save, fresh, range(3, 6))
    assert same_weights(model, at_save)


@pytest.mark.parametrize("option, value", [("weight_decay", 0.3), ("betas", (0.5, 0.6))])
def test_every_option_of_a_resumed_run_is_the_one_that_it_was_given(option, value, tmp_path):
    model = new_model()
    optimizers = adamw(model, 1e-3)
    train(model, optimizers, range(2))
    save_optimizers(tmp_path / "a", optimizers)
    fresh = adamw(model, 1e-3, **{option: value})
    checkpoint.load_trainer(tmp_path / "a", fresh)
    group = fresh["adamw"].param_groups[0]
    assert group[option] == value and type(group[option]) is type(value)
    moments = [state["exp_avg"] for state in fresh["adamw"].state.values()]
    assert moments and all(moment.any() for moment in moments)


def test_an_option_that_needs_another_state_is_refused(tmp_path):
    model = new_model()
    optimizers = {"adamw": torch.optim.AdamW(model.parameters())}
    train(model, remember_lr(optimizers), range(1))
    save_optimizers(tmp_path / "a", optimizers)
    wider = {"adamw": torch.optim.AdamW(model.parameters(), amsgrad=True)}
    refused(lambda: checkpoint.load_trainer(tmp_path / "a", wider), "amsgrad", "other options")
    assert not wider["adamw"].state


@pytest.mark.parametrize("rate", [None, 1e-5], ids=["as it was", "another"])
def test_a_run_that_is_resumed_with_lr_logs_that_rate(base, rate, tmp_path, monkeypatch):
    """The whole way, from the options to metrics.jsonl."""
    monkeypatch.setattr(GSM8KMini, "max_new_tokens", 8)
    run = tmp_path / "run"
    how = {"batch": 4, "eval_n": 4, "warmup": 0, "save_every": 2, "device": "cpu", "threads": 1}
    sft.train(sft.Options(init=str(base), steps=2, lr=1e-3, out=run, **how))
    asked = {} if rate is None else {"lr": rate}
    sft.train(sft.Options(resume=run, steps=3, **asked))
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    rates = {line["step"]: line["learning_rate"] for line in lines if line["event"] == "train"}
    assert rates[1] == 1e-3
    assert rates[3] == pytest.approx((rate or 1e-3) * lr_factor(2, 3, 0, final=0.1))

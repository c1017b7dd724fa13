"""What keeps large models within memory changes no number: losses of a large vocabulary a few
tokens at a time, layers that are computed again, weights in bfloat16 with states in float32."""

import pytest
import torch
from miniature import LOOPS, miniature, options
from torch.utils._python_dispatch import TorchDispatchMode

from minilrm import checkpoint, objectives
from minilrm.distill.loss import loss_of as distill_loss
from minilrm.loop import run as loop_run
from minilrm.model import ModelConfig, Transformer
from minilrm.objectives import large_vocabulary
from minilrm.optim import adamw
from minilrm.rollout import Episode, episode_logprobs
from minilrm.sft import loss_of
from tests.checkpoints import refused

CPU = torch.device("cpu")
V = 700
SHAPE = ModelConfig(
    vocab_size=V, dim=16, n_layers=3, n_heads=2, n_kv_heads=1, head_dim=8, ffn_dim=24
)


def new_model(seed=0, **shape):
    torch.manual_seed(seed)
    return Transformer(ModelConfig(**vars(SHAPE) | shape))


@pytest.fixture
def ids():
    return torch.randint(V, (6, 20), generator=torch.Generator().manual_seed(1))


@pytest.fixture(params=[True, False], ids=["all-large", "large"])
def few_at_a_time(monkeypatch, request):
    """Every vocabulary is a large one; a handful of rows, or one, at a time."""

    def start():
        monkeypatch.setattr(objectives, "LARGE_VOCABULARY", 1)
        monkeypatch.setattr(large_vocabulary, "NUMBERS_AT_ONCE", V * (20 if request.param else 1))

    return start


class Largest(TorchDispatchMode):
    """The size of the largest tensor that is made while it is on."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(tensor, torch.Tensor):
                self.numbers = max(self.numbers, tensor.numel())
        return out


def episodes(ids):
    """Answers of three lengths to two prompts."""
    rows = [[int(i) for i in row] for row in ids]
    return [
        Episode(None, rows[n % 2][:7], row[7 : 12 + n], [1] * (5 + n), [], "", "", None, False)
        for n, row in enumerate(rows)
    ]


def grpo_loss(model, ids):
    logp, mask = episode_logprobs(model, episodes(ids), 0.8, CPU)
    return (logp * mask).sum() / mask.sum()


def sft_loss(model, ids):
    return loss_of(model, ids, torch.ones_like(ids).bool(), 100, CPU)


def teaching(model, ids):
    teacher = new_model(seed=1)
    how = {"hard": 0.3, "beta": 0.4, "temperature": 1.5, "denominator": 100}
    return distill_loss(model, teacher, ids, torch.ones_like(ids).bool(), **how)


LOSSES = {"grpo": grpo_loss, "sft": sft_loss, "distill": teaching}


def value_and_gradients(loss, model, ids):
    value = loss(model, ids)
    return [value.detach(), *torch.autograd.grad(value, list(model.parameters()))]


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_a_large_vocabulary_a_few_tokens_at_a_time(loss, ids, few_at_a_time, full_precision):
    model = new_model()
    with Largest() as whole:
        expected = value_and_gradients(loss, model, ids)
    few_at_a_time()
    with Largest() as few:
        found = value_and_gradients(loss, model, ids)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
    assert whole.numbers >= 30 * V  # all logits at once
    assert few.numbers <= 20 * V  # as many as fit, and the output matrix of 16 x V itself


def test_nothing_of_it_is_recorded_without_gradients(ids, few_at_a_time):
    few_at_a_time()
    with torch.no_grad():
        assert not grpo_loss(new_model(), ids).requires_grad


def kept(model, ids):
    """Numbers that the layers keep for the backward pass."""
    sizes = []

    def pack(tensor):
        sizes.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model.hidden(ids)
    return sum(sizes)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_layers_that_are_computed_again_give_the_same_bits(loss, ids):
    """Catches: keys of the prompts that are stored twice, or not seen, when a layer runs again."""
    model = new_model()
    expected, before = value_and_gradients(loss, model, ids), kept(model, ids)
    for block in model.layers:
        block.gradient_checkpointing = True
    found = value_and_gradients(loss, model, ids)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert kept(model, ids) < before / 4


# -- bfloat16 --------------------------------------------------------------------------------------


def test_small_steps_add_up_though_the_weights_are_bfloat16():
    weight = torch.nn.Linear(4, 4, bias=False).to(torch.bfloat16)
    with torch.no_grad():
        weight.weight.fill_(1.0)
    optimizer = adamw(weight, lr=1e-4)["adamw"]
    for _ in range(100):
        weight.weight.grad = torch.ones_like(weight.weight)
        optimizer.step()
        optimizer.zero_grad()
    # 1e-4 a step is far below the spacing of bfloat16 at 1, which is 1/256
    assert weight.weight.dtype == torch.bfloat16 and weight.weight.grad is None
    assert torch.all((weight.weight.float() - 0.99).abs() < 1 / 256)
    states = optimizer.state_dict()["state"][0]
    assert all(states[name].dtype == torch.float32 for name in ("exp_avg", "exp_avg_sq", "weight"))
    torch.testing.assert_close(states["weight"], torch.full((4, 4), 0.99), rtol=0, atol=1e-5)


def test_in_float32_it_is_adamw_itself(ids):
    """The float32 copy takes the very steps that float32 weights would take."""
    plain, mixed = new_model(), new_model().to(torch.bfloat16).float()
    plain.load_state_dict(mixed.state_dict())
    mixed = mixed.to(torch.bfloat16)
    one, other = adamw(plain, 1e-2)["adamw"], adamw(mixed, 1e-2)["adamw"]
    for step in range(3):
        torch.manual_seed(step)
        for p, q in zip(plain.parameters(), mixed.parameters(), strict=True):
            q.grad = torch.randn_like(p).to(torch.bfloat16)
            p.grad = q.grad.float()
        one.step()
        other.step()
    for p, q, full in zip(plain.parameters(), mixed.parameters(), other.copies, strict=True):
        assert torch.equal(p, full) and torch.equal(q, p.to(torch.bfloat16))


@pytest.fixture
def small():
    with miniature() as patch:
        patch.setattr(loop_run, "write_report", lambda folder: folder)
        yield patch


@pytest.mark.parametrize("name", ["sft", "grpo"])
def test_a_resumed_run_in_bfloat16_goes_on_bit_for_bit(base, small, tmp_path, name):
    more = {"weights": "bfloat16", "gradient_checkpointing": True, "eval_every": 4, "save_every": 2}
    module, whole, parts = LOOPS[name], tmp_path / "whole", tmp_path / "parts"
    module.train(options(name, base, whole, steps=4, **more))
    module.train(options(name, base, parts, steps=2, **more))
    for file in ("summary.json",):
        (parts / file).unlink()
    module.train(module.Options(resume=parts, steps=4))
    last = [
        checkpoint.load(run / "checkpoints/step-000004", dtype=None)[0] for run in (whole, parts)
    ]
    pairs = zip(last[0].parameters(), last[1].parameters(), strict=True)
    assert all(a.dtype == torch.bfloat16 and torch.equal(a, b) for a, b in pairs)
    assert last[0].norm.weight.isfinite().all()


def test_pretraining_keeps_its_weights_in_float32(tmp_path):
    o = options("pretrain", None, tmp_path / "run", weights="bfloat16")
    refused(lambda: LOOPS["pretrain"].train(o), "--weights bfloat16", "leave it out")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["ppo", "distill"])
def test_the_other_trainers_take_bfloat16_too(base, small, tmp_path, name):
    more = {"weights": "bfloat16", "gradient_checkpointing": True, "steps": 1, "eval_every": 9}
    assert LOOPS[name].train(options(name, base, tmp_path / "run", **more)).finished
    model = checkpoint.load(tmp_path / "run/checkpoints/step-000001", dtype=None)[0]
    assert model.norm.weight.dtype == torch.bfloat16

"""Decoding, which is laid out for speed, against the model, which is laid out to be read."""

import copy

import pytest
import torch

from minilrm.model import apply_rope, rope_tables
from minilrm.sampler import decoding
from minilrm.sampler.decoding import BLOCK, FusedTransformer, pair_order, prefill, rotate, turns
from tests.test_model import FAMILIES, SHAPES, TINY, random_ids, random_model

STEPS = BLOCK + 3  # the cache grows at least once
LENGTHS = (3, 8, 1)


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.inference_mode():
        yield


def begin(model, n=2, dtype=torch.float32):
    prompts = [random_ids(model.config, length, seed=length).tolist() for length in LENGTHS]
    cache, logits = prefill(copy.deepcopy(model).to(dtype), prompts, n)
    rest = random_ids(model.config, len(prompts) * n, STEPS, seed=1)
    whole = [prompts[row // n] + rest[row].tolist() for row in range(len(rest))]
    return FusedTransformer(model, dtype, max(LENGTHS) + STEPS), cache, logits, rest, whole


def alone(model, ids, steps):
    """The model's logits of one row by itself, of its last `steps` + 1 positions."""
    return model(torch.tensor([ids]))[0, -steps - 1 :]


@pytest.mark.parametrize("config", (SHAPES | FAMILIES).values(), ids=(SHAPES | FAMILIES).keys())
def test_step_by_step_it_says_what_the_model_says_of_each_row_alone(config):
    """Catches: a weight forgotten when they are multiplied together, pairs reordered on one side
    only, positions or padding of the neighbour's prompt, a biased projection without its bias, a
    cache that loses columns as it grows."""
    model = random_model(config)
    fused, cache, logits, rest, whole = begin(model)
    said = [logits]
    for ids in rest.T:
        said.append(fused.step(ids, cache))
    said = torch.stack(said, dim=1)
    assert cache.length == max(LENGTHS) + STEPS and cache.bias.shape[-1] % BLOCK == 0
    for row, ids in enumerate(whole):
        torch.testing.assert_close(said[row], alone(model, ids, STEPS), atol=1e-4, rtol=1e-4)


def test_lines_go_on_when_others_have_left():
    model = random_model(TINY)
    fused, cache, _, rest, whole = begin(model)
    left = torch.arange(len(rest))
    for t, keep in enumerate(([0, 2, 3, 5], [1, 2, 3], [0], [0])):
        lines = torch.tensor(keep)
        cache.keep(lines)
        left = left[lines]
        logits = fused.step(rest[left, t], cache)
        for line, row in enumerate(left):
            wanted = alone(model, whole[row], STEPS)[t + 1]
            torch.testing.assert_close(logits[line], wanted, atol=1e-4, rtol=1e-4)


def test_columns_that_hold_nothing_yet_are_zeros_behind_a_bias():
    """Fresh memory may hold NaN, and 0 * NaN is NaN: a bug that shows only now and then."""
    _, cache, _, _, _ = begin(random_model(TINY), n=1)
    begins = [max(LENGTHS) - length for length in LENGTHS]
    for _ in range(BLOCK + 1):
        for k, v in zip(cache.k, cache.v, strict=True):
            assert (
                k.is_contiguous()
                and v.is_contiguous()
                and k.shape[2] == v.shape[3] == cache.bias.shape[-1]
            )
            assert not k[:, :, cache.length :].any() and not v[..., cache.length :].any()
            assert k[:, :, max(LENGTHS) - 1].all() and v[..., max(LENGTHS) - 1].all()
        seen = cache.bias[:, 0] == 0
        assert [row.nonzero().flatten().tolist() for row in seen] == [
            list(range(b, cache.length)) for b in begins
        ]
        assert cache.bias[~seen[:, None]].isneginf().all()
        cache.open_column()


def test_in_half_precision_it_is_nearer_to_the_model_than_the_models_own():
    """The residual stream stays in float32, as under autocast in training."""
    model = random_model(TINY)
    fused, cache, _, rest, whole = begin(model, dtype=torch.bfloat16)
    half, halved = random_model(TINY).to(torch.bfloat16), []
    error = []
    for t, ids in enumerate(rest.T):
        logits = fused.step(ids, cache)
        assert logits.dtype == torch.bfloat16
        for row in range(len(rest)):
            wanted = alone(model, whole[row], STEPS)[t + 1].log_softmax(-1)
            error.append((logits[row].float().log_softmax(-1) - wanted).abs().mean())
            halved.append(
                (alone(half, whole[row], STEPS)[t + 1].float().log_softmax(-1) - wanted)
                .abs()
                .mean()
            )
    assert torch.stack(error).mean() < 0.9 * torch.stack(halved).mean() < 0.1


@pytest.mark.parametrize("head_dim, theta", [(10, 777.0), (32, 10_000.0)])
def test_a_rotation_by_complex_numbers_is_the_models(head_dim, theta):
    torch.manual_seed(0)
    x, positions, order = torch.randn(40, 3, head_dim), torch.arange(40), pair_order(head_dim)
    turn = turns(40, head_dim, theta)[positions][:, None]
    cos, sin = rope_tables(positions[:, None], head_dim, theta)
    wanted = apply_rope(x[:, :, None], cos[:, None], sin[:, None])[:, :, 0]
    torch.testing.assert_close(rotate(x[..., order], turn), wanted[..., order])
    assert sorted(order.tolist()) == list(range(head_dim))


def test_the_models_weights_are_copied_not_touched():
    model = random_model(TINY)
    before = {name: p.clone() for name, p in model.state_dict().items()}
    fused, cache, _, rest, _ = begin(model)
    fused.step(rest[:, 0], cache)
    assert all(p.equal(before[name]) for name, p in model.state_dict().items())
    own = [fused.head, *(w for b in fused.blocks for w in (b.qkv, b.gate_up, b.scale))]
    assert not {w.data_ptr() for w in own} & {p.data_ptr() for p in model.parameters()}


def test_a_prompt_is_read_once_whatever_the_number_of_its_completions(monkeypatch):
    model, read = random_model(TINY), []
    hidden = model.hidden
    monkeypatch.setattr(
        model, "hidden", lambda ids, **more: (read.append(ids.shape), hidden(ids, **more))[1]
    )
    cache, logits = decoding.prefill(model, [[1, 2], [3]], 5)
    assert read == [(2, 2)] and len(logits) == len(cache.start) == 10

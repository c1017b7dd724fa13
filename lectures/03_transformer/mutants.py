"""The mutants of lecture 3: wrong answers that checks.py must reject, each with the piece of the
message that it must get."""

import torch
import torch.nn.functional as F

from course.grade import mutant


def rope(x, positions, theta=10_000.0, sign=1.0, power=2.0):
    half = x.shape[-1] // 2
    angles = positions.to(x.dtype)[:, None] * theta ** (
        -power * torch.arange(half, dtype=x.dtype) / x.shape[-1]
    )
    cos, sin, a, b = angles.cos(), sign * angles.sin(), x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def neighbours(x, positions, theta=10_000.0):
    """The other convention: pairs (0, 1), (2, 3), ..."""
    order = [*range(0, x.shape[-1], 2), *range(1, x.shape[-1], 2)]
    back = [order.index(i) for i in range(x.shape[-1])]
    return rope(x[..., order], positions, theta)[..., back]


def attention(q, k, v, hidden=None, scale=None, dim=-1):
    T, d = q.shape[-2:]
    scores = q @ k.transpose(-1, -2) * (d**-0.5 if scale is None else scale)
    hidden = torch.ones(T, T, dtype=torch.bool).triu(1) if hidden is None else hidden
    return scores.masked_fill(hidden, float("-inf")).softmax(dim) @ v


@mutant("rms_norm", "their mean")
def by_length(x, weight, eps=1e-6):
    return x / (x.pow(2).sum(-1, keepdim=True) + eps).sqrt() * weight


@mutant("rms_norm", "LayerNorm")
def layer_norm(x, weight, eps=1e-6):
    return F.layer_norm(x, (x.shape[-1],), eps=eps) * weight


@mutant("rms_norm", "the root is missing")
def mean_square(x, weight, eps=1e-6):
    return x / (x.pow(2).mean(-1, keepdim=True) + eps) * weight


@mutant("rms_norm", "under the root")
def eps_outside(x, weight, eps=1e-6):
    return x / (x.pow(2).mean(-1, keepdim=True).sqrt() + eps) * weight


@mutant("rms_norm", "gives NaN")
def no_eps(x, weight, eps=1e-6):
    return x / x.pow(2).mean(-1, keepdim=True).sqrt() * weight


@mutant("rms_norm", "one size for all tokens")
def one_size(x, weight, eps=1e-6):
    return x / (x.pow(2).mean() + eps).sqrt() * weight


@mutant("rms_norm", "weight is not used")
def no_weight(x, weight, eps=1e-6):
    return x / (x.pow(2).mean(-1, keepdim=True) + eps).sqrt()


@mutant("rms_norm", "your eps is 1e-6")
def fixed_eps(x, weight, eps=1e-6):
    return F.rms_norm(x, x.shape[-1:], weight, 1e-6)


@mutant("rms_norm", "which is about the mean")
def by_variance(x, weight, eps=1e-6):
    return x / (x.var(-1, keepdim=True, correction=0) + eps).sqrt() * weight


@mutant("rms_norm", "eps makes no difference here")
def eps_as_a_bound(x, weight, eps=1e-6):
    return x / x.pow(2).mean(-1, keepdim=True).clamp(min=eps).sqrt() * weight


@mutant("rms_norm", "ValueError")
def three_axes(x, weight, eps=1e-6):
    B, T, D = x.shape if x.dim() != 2 else (1, *x.shape)
    return F.rms_norm(x, (D,), weight, eps)


@mutant("rms_norm", "no gradient flows")
def norm_without_gradient(x, weight, eps=1e-6):
    return F.rms_norm(x, x.shape[-1:], weight, eps).detach()


@mutant("apply_rope", "pairs are neighbours")
def interleaved(x, positions, theta=10_000.0):
    return neighbours(x, positions, theta)


@mutant("apply_rope", "turn backwards")
def backwards(x, positions, theta=10_000.0):
    return rope(x, positions, theta, sign=-1.0)


@mutant("apply_rope", "you have -i / d")
def half_the_exponent(x, positions, theta=10_000.0):
    return rope(x, positions, theta, power=1.0)


@mutant("apply_rope", "keeps lengths")
def sign_forgotten(x, positions, theta=10_000.0):
    half = x.shape[-1] // 2
    angles = positions.to(x.dtype)[:, None] * theta ** (
        -2 * torch.arange(half, dtype=x.dtype) / x.shape[-1]
    )
    cos, sin, a, b = angles.cos(), angles.sin(), x[..., :half], x[..., half:]
    return torch.cat([a * cos + b * sin, b * cos + a * sin], -1)


@mutant("apply_rope", "are the positions used")
def own_positions(x, positions, theta=10_000.0):
    return rope(x, torch.arange(x.shape[2]) + (x.shape[2] == 1), theta)


@mutant("apply_rope", "theta is not used")
def fixed_theta(x, positions, theta=10_000.0):
    return rope(x, positions)


@mutant("apply_rope", "theta 50")
def two_thetas(x, positions, theta=10_000.0):
    return rope(x, positions, theta if theta == 10_000.0 else 100.0)


@mutant("apply_rope", "are the positions used")
def from_the_first_position(x, positions, theta=10_000.0):
    return rope(x, positions - positions[0], theta)


@mutant("apply_rope", "RuntimeError")
def eight_channels(x, positions, theta=10_000.0):
    half = 4 if x.shape[-1] > 2 else 1
    angles = positions.to(x.dtype)[:, None] * theta ** (-torch.arange(half).double() / half)
    cos, sin, a, b = angles.cos(), angles.sin(), x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


@mutant("causal_attention", "q, k, v [1, 2, 5, 9]")
def knows_one_length(q, k, v):
    T = q.shape[2]
    if T == 7:
        return attention(q, k, v)
    return (torch.ones(T, T).tril() / torch.arange(1.0, T + 1)[:, None]).to(v.dtype) @ v


@mutant("causal_attention", "whatever q and k say")
def means_of_the_past(q, k, v):
    return v.cumsum(2) / torch.arange(1, v.shape[2] + 1).view(-1, 1)


@mutant("causal_attention", "are divided by 2")
def four_channels(q, k, v):
    return attention(q, k, v, scale=0.5)


@mutant("causal_attention", "RuntimeError")
def mask_of_seven(q, k, v):
    hidden = torch.ones(7, 7, dtype=torch.bool).triu(1)
    return attention(q, k, v, hidden[: q.shape[2], : q.shape[2]])


@mutant("causal_attention", "gets minus infinity")
def minus_a_hundred(q, k, v):
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    return (scores + torch.full(scores.shape[-2:], -100.0).triu(1)).softmax(-1) @ v


@mutant("causal_attention", "no gradient flows")
def attention_without_gradient(q, k, v):
    return attention(q, k, v).detach()


@mutant("causal_attention", "no mask")
def sees_everything(q, k, v):
    return F.scaled_dot_product_attention(q, k, v)


@mutant("causal_attention", "not divided by sqrt(d)")
def unscaled(q, k, v):
    return attention(q, k, v, scale=1.0)


@mutant("causal_attention", "the root of d")
def divided_by_d(q, k, v):
    return attention(q, k, v, scale=1 / q.shape[-1])


@mutant("causal_attention", "look at itself as well")
def not_itself(q, k, v):
    return attention(q, k, v, torch.ones(q.shape[2], q.shape[2], dtype=torch.bool).triu(0))


@mutant("causal_attention", "upside down")
def past_hidden(q, k, v):
    return attention(q, k, v, torch.ones(q.shape[2], q.shape[2], dtype=torch.bool).tril(-1))


@mutant("causal_attention", "mask after the softmax")
def masked_late(q, k, v):
    return (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1).tril() @ v


@mutant("causal_attention", "over the queries")
def softmax_over_queries(q, k, v):
    return attention(q, k, v, dim=-2)


@mutant("causal_attention", "subtracts the maximum")
def bare_exponentials(q, k, v):
    weights = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).exp().tril()
    return weights / weights.sum(-1, keepdim=True) @ v


def plain_step(q, cache_k, cache_v, scale=None):
    scores = q @ cache_k.transpose(-1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
    return scores.softmax(-1) @ cache_v


@mutant("kv_cache_step", "does not look at itself")
def appends_afterwards(q, k, v, cache_k, cache_v):
    out = plain_step(q, cache_k, cache_v) if cache_k.shape[2] else v
    return out, torch.cat([cache_k, k], 2), torch.cat([cache_v, v], 2)


@mutant("kv_cache_step", "needs no mask")
def masked_step(q, k, v, cache_k, cache_v):
    cache_k, cache_v = torch.cat([cache_k, k], 2), torch.cat([cache_v, v], 2)
    scores = q @ cache_k.transpose(-1, -2) / q.shape[-1] ** 0.5
    hidden = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    return scores.masked_fill(hidden, float("-inf")).softmax(-1) @ cache_v, cache_k, cache_v


@mutant("kv_cache_step", "stands in front")
def in_front(q, k, v, cache_k, cache_v):
    cache_k, cache_v = torch.cat([k, cache_k], 2), torch.cat([v, cache_v], 2)
    return plain_step(q, cache_k, cache_v), cache_k, cache_v


@mutant("kv_cache_step", "not divided by sqrt(d)")
def unscaled_step(q, k, v, cache_k, cache_v):
    cache_k, cache_v = torch.cat([cache_k, k], 2), torch.cat([cache_v, v], 2)
    return plain_step(q, cache_k, cache_v, scale=1.0), cache_k, cache_v


def appended(k, v, cache_k, cache_v):
    return torch.cat([cache_k, k], 2), torch.cat([cache_v, v], 2)


@mutant("kv_cache_step", "are divided by 2")
def four_channels_step(q, k, v, cache_k, cache_v):
    cache_k, cache_v = appended(k, v, cache_k, cache_v)
    return plain_step(q, cache_k, cache_v, scale=0.5), cache_k, cache_v


@mutant("kv_cache_step", "q, k, v [1, 2, 11, 7]")
def last_six(q, k, v, cache_k, cache_v):
    cache_k, cache_v = appended(k, v, cache_k, cache_v)
    return plain_step(q, cache_k[:, :, -6:], cache_v[:, :, -6:]), cache_k, cache_v


@mutant("kv_cache_step", "large scores")
def bare_exponentials_step(q, k, v, cache_k, cache_v):
    cache_k, cache_v = appended(k, v, cache_k, cache_v)
    weights = (q @ cache_k.transpose(-1, -2) / q.shape[-1] ** 0.5).exp()
    return weights / weights.sum(-1, keepdim=True) @ cache_v, cache_k, cache_v


@mutant("kv_cache_step", "the caches are exchanged")
def caches_exchanged(q, k, v, cache_k, cache_v):
    cache_k, cache_v = appended(k, v, cache_k, cache_v)
    return plain_step(q, cache_k, cache_v), cache_v, cache_k


@mutant("kv_cache_step", "nothing was appended")
def forgets(q, k, v, cache_k, cache_v):
    return plain_step(q, torch.cat([cache_k, k], 2), torch.cat([cache_v, v], 2)), cache_k, cache_v


def count(
    vocab_size,
    dim,
    n_layers,
    n_heads,
    n_kv_heads,
    head_dim,
    ffn_dim,
    *,
    tied=True,
    qk_norm=True,
    ffn=3,
    norms=2,
    last=1,
):
    layer = (
        dim * head_dim * 2 * (n_heads + n_kv_heads)
        + 2 * head_dim * qk_norm
        + ffn * dim * ffn_dim
        + norms * dim
    )
    return vocab_size * dim * (2 - tied) + n_layers * layer + last * dim


@mutant("count_parameters", "count it twice")
def untied(*shape):
    return count(*shape, tied=False)


@mutant("count_parameters", "queries and keys are missing")
def no_qk_norm(*shape):
    return count(*shape, qk_norm=False)


@mutant("count_parameters", "n_kv_heads")
def all_heads(vocab_size, dim, n_layers, n_heads, n_kv_heads, head_dim, ffn_dim):
    return count(vocab_size, dim, n_layers, n_heads, n_heads, head_dim, ffn_dim)


@mutant("count_parameters", "three matrices")
def old_ffn(*shape):
    return count(*shape, ffn=2)


@mutant("count_parameters", "norm at the end is missing")
def no_last_norm(*shape):
    return count(*shape, last=0)


@mutant("count_parameters", "need not be `dim`")
def square_projections(vocab_size, dim, n_layers, n_heads, n_kv_heads, head_dim, ffn_dim):
    layer = (
        2 * dim * dim + 2 * dim * n_kv_heads * head_dim + 2 * head_dim + 3 * dim * ffn_dim + 2 * dim
    )
    return vocab_size * dim + n_layers * layer + dim

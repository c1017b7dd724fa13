"""What lecture 3 holds its exercises to: PyTorch's attention, the library's model, and properties
that need no reference."""

import math

import torch
import torch.nn.functional as F

from course.grade import close, exercise, expect, expect_close
from minilrm.model import SCALES, ModelConfig, Transformer

FORBIDDEN = ("minilrm.model", "minilrm.Transformer")


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# -- rms_norm --------------------------------------------------------------------------------------


@exercise("rms_norm", points=2)
def value(student):
    """Two small vectors, and many at once."""
    x, ones = torch.tensor([[3.0, 4.0]], dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    expect_close(
        student.rms_norm(x, ones),
        torch.tensor([[0.848528, 1.131371]]),
        "x / sqrt(mean(x^2) + eps)",
        {
            "you divide by the length, the root of the *sum* of squares; it is the root of their mean": x
            / 5,
            "the root is missing": x / 12.5,
            "the mean is not subtracted: that is LayerNorm; RMSNorm only divides": F.layer_norm(
                x, (2,)
            ),
            "you divide by the standard deviation; RMSNorm does not subtract the mean": x / x.std(),
        },
    )
    x, weight = noise(2, 3, 8), noise(8, seed=1)
    wanted = x / x.pow(2).mean(-1, keepdim=True).add(1e-6).sqrt() * weight
    expect_close(
        student.rms_norm(x, weight),
        wanted,
        "x[2, 3, 8] with weights",
        {
            "the weight is not used": wanted / weight,
            "one size for all tokens: each token is divided by its own (mean over the last axis alone, keepdim=True)": x
            / x.pow(2).mean().add(1e-6).sqrt()
            * weight,
            "the mean runs over the tokens; it runs over the channels (dim=-1)": x
            / x.pow(2).mean(1, keepdim=True).add(1e-6).sqrt()
            * weight,
        },
    )


@exercise("rms_norm", points=1)
def small_numbers(student):
    """What eps is for."""
    found = student.rms_norm(torch.zeros(1, 4), torch.ones(4))
    expect(
        not torch.isnan(found).any(), "a token of zeros gives NaN: 0 / 0. Add eps under the root"
    )
    x = torch.full((1, 4), 1e-3, dtype=torch.float64)
    expect_close(
        student.rms_norm(x, torch.ones(4, dtype=torch.float64)),
        x / math.sqrt(2e-6),
        "for x = 0.001 and eps = 1e-6",
        {
            "eps stands under the root, beside the mean; you add it to the root": x / (1e-3 + 1e-6),
            "eps is not used": torch.ones(1, 4),
        },
    )


# -- apply_rope ------------------------------------------------------------------------------------


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


@exercise("apply_rope", points=2)
def values(student):
    """A pair at position 1, then random vectors at several positions."""
    x = torch.tensor([1.0, 0.0], dtype=torch.float64).expand(1, 1, 1, 2).clone()
    expect_close(
        student.apply_rope(x, torch.tensor([1])),
        torch.tensor([0.540302, 0.841471]).view(1, 1, 1, 2),
        "[1, 0] at position 1",
        {
            "you turn backwards: the sign of the sine is the other one": torch.tensor(
                [0.540302, -0.841471]
            ).view(1, 1, 1, 2),
            "nothing is turned at position 1": x,
        },
    )
    x, at = noise(2, 3, 5, 8), torch.tensor([0, 1, 2, 7, 40])
    expect_close(
        student.apply_rope(x, at),
        rope(x, at),
        "x[2, 3, 5, 8] at positions 0, 1, 2, 7, 40",
        {
            "your pairs are neighbours, (0, 1), (2, 3), ...; here channel i goes with i + d/2 (both are in use, and do not mix)": neighbours(
                x, at
            ),
            "you turn backwards: the sign of the sine is the other one": rope(x, at, sign=-1),
            "the exponent is -2 i / d, and you have -i / d": rope(x, at, power=1),
            "the exponent is -2 i / d: the minus is missing": rope(x, at, power=-2),
            "every pair turns by the same angle; pair i turns by t * theta ** (-2 i / d)": rope(
                x, at, theta=1.0
            ),
            "positions are given; you count from 0 instead": rope(x, torch.arange(5)),
            "the axes are mixed up: positions belong to the tokens, axis 2": rope(
                x.transpose(1, 2), torch.arange(3)
            ).transpose(1, 2),
        },
        tolerance=1e-5,
    )
    expect_close(
        student.apply_rope(x, at, 100.0),
        rope(x, at, theta=100.0),
        "with theta = 100",
        {"theta is not used": rope(x, at)},
        tolerance=1e-5,
    )


@exercise("apply_rope", points=2)
def distances_alone(student):
    """A rotation keeps lengths, and a product of query and key depends on their distance alone."""
    x, at = noise(1, 2, 6, 8), torch.arange(6)
    found = student.apply_rope(x, at)
    expect(
        close(found.norm(dim=-1), x.norm(dim=-1), 1e-5),
        "a rotation keeps lengths, and yours changes them: each new "
        "channel is one of the pair times the cosine, plus or minus the other one times the sine",
    )
    q, k = (noise(1, 1, 1, 8, seed=s).expand(1, 1, 6, 8).clone() for s in (1, 2))
    products = [
        student.apply_rope(q, at + shift) @ student.apply_rope(k, at + shift).transpose(-1, -2)
        for shift in (0, 9)
    ]
    expect(
        close(*products, 1e-5),
        "moving query and key by 9 positions changes their product: it may depend on "
        "their distance alone",
    )
    expect(
        not close(products[0][0, 0, 0], products[0][0, 0, 0, :1].expand(6), 1e-3),
        "products do not depend on the distance at all",
    )


# -- causal_attention ------------------------------------------------------------------------------


def attention(q, k, v, hidden=None, scale=None, dim=-1):
    """The reference, with the ways to be wrong that messages name."""
    T, d = q.shape[-2:]
    scores = q @ k.transpose(-1, -2) * (d**-0.5 if scale is None else scale)
    hidden = torch.ones(T, T, dtype=torch.bool).triu(1) if hidden is None else hidden
    return scores.masked_fill(hidden, float("-inf")).softmax(dim) @ v


def qkv(*shape):
    return [noise(*shape, seed=s) for s in (1, 2, 3)]


@exercise("causal_attention", points=2)
def equals_pytorch(student):
    """The same as scaled_dot_product_attention, to 1e-6."""
    q, k, v = qkv(2, 3, 7, 4)
    after = torch.softmax(q @ k.transpose(-1, -2) / 2, -1).tril()
    open_, strict = torch.zeros(7, 7, dtype=torch.bool), torch.ones(7, 7, dtype=torch.bool)
    expect_close(
        student.causal_attention(q, k, v),
        F.scaled_dot_product_attention(q, k, v, is_causal=True),
        "q, k, v [2, 3, 7, 4]: softmax(q k^T / sqrt(d)) v, and no look ahead",
        {
            "no mask: tokens look at what comes after them": attention(q, k, v, open_),
            "the scores are not divided by sqrt(d)": attention(q, k, v, scale=1.0),
            "the scores are divided by d; it is the root of d": attention(q, k, v, scale=0.25),
            "d is the size of a head (the last axis), not the number of tokens": attention(
                q, k, v, scale=7**-0.5
            ),
            "a token may look at itself as well: the mask hides s > t (triu with diagonal=1); your first token sees nothing": attention(
                q, k, v, strict.triu(0)
            ),
            "the mask is upside down: tokens look at the future and not at the past": attention(
                q, k, v, strict.tril(-1)
            ),
            "you mask after the softmax, so the weights of a token no longer sum to 1; put minus infinity before it": after
            @ v,
            "your softmax runs over the queries (dim=-2); each query shares out its attention over the keys (dim=-1)": attention(
                q, k, v, dim=-2
            ),
        },
        tolerance=1e-6,
    )


@exercise("causal_attention", points=1)
def no_future(student):
    """Changing what comes later changes nothing before it."""
    q, k, v = qkv(1, 2, 6, 4)
    before = student.causal_attention(q, k, v)
    for x in (q, k, v):
        x[:, :, 4:] = noise(1, 2, 2, 4, seed=9)
    after = student.causal_attention(q, k, v)
    expect(
        close(before[:, :, :4], after[:, :, :4], 1e-9),
        "tokens 4 and 5 were changed, and what tokens 0 to 3 get changed "
        "with them: they look into the future. While a model writes there is none, so training would teach it to cheat",
    )
    expect(
        not close(before[:, :, 4:], after[:, :, 4:]),
        "tokens 4 and 5 were changed, and their own results stay as they were",
    )


@exercise("causal_attention", points=1)
def shares(student):
    """Weights sum to one, whatever the scores."""
    q, k, _ = qkv(1, 2, 5, 4)
    expect_close(
        student.causal_attention(q, k, torch.ones(1, 2, 5, 4, dtype=torch.float64)),
        torch.ones(1, 2, 5, 4),
        "if all values are 1, everybody gets 1: the weights of a token sum to 1",
    )
    found = student.causal_attention(1e4 * q, k, torch.ones(1, 2, 5, 4, dtype=torch.float64))
    expect(
        torch.isfinite(found).all(),
        "scores of ten thousand give infinity or NaN: use softmax, which subtracts the "
        "maximum, and not exp alone",
    )


# -- kv_cache_step ---------------------------------------------------------------------------------


def steps(student, q, k, v):
    """Token after token; returns all outputs and the last caches."""
    cache_k, cache_v, outs = k[:, :, :0], v[:, :, :0], []
    for t in range(q.shape[2]):
        found = student.kv_cache_step(*(x[:, :, t : t + 1] for x in (q, k, v)), cache_k, cache_v)
        expect(
            isinstance(found, (tuple, list)) and len(found) == 3,
            "return three tensors: out, cache_k, cache_v",
        )
        out, cache_k, cache_v = found
        one = q[:, :, :1].shape
        expect(
            out.shape == one,
            f"out has the shape {tuple(out.shape)}; it is one token's, {tuple(one)}",
        )
        outs.append(out)
    return torch.cat(outs, 2), cache_k, cache_v


@exercise("kv_cache_step", points=1)
def first_token(student):
    """An empty cache: the token sees itself alone."""
    q, k, v = qkv(2, 3, 1, 4)
    out, _, _ = student.kv_cache_step(q, k, v, k[:, :, :0], v[:, :, :0])
    expect(
        close(out, v),
        "with an empty cache the token looks at itself alone, so out is v. Append the new key and value "
        "*before* you attend",
    )


@exercise("kv_cache_step", points=1)
def caches(student):
    """One column longer, at the end, and the old caches as they were."""
    q, k, v = qkv(2, 3, 1, 4)
    old_k, old_v = noise(2, 3, 5, 4, seed=4), noise(2, 3, 5, 4, seed=5)
    kept_k, kept_v = old_k.clone(), old_v.clone()
    _, new_k, new_v = student.kv_cache_step(q, k, v, old_k, old_v)
    for new, kept, added, name in ((new_k, kept_k, k, "keys"), (new_v, kept_v, v, "values")):
        expect_close(
            new,
            torch.cat([kept, added], 2),
            f"the cache of {name} is the old one with the new column behind it",
            {
                "the new column stands in front; tokens stand in the order of their positions": torch.cat(
                    [added, kept], 2
                ),
                f"nothing was appended to the cache of {name}": kept,
            },
        )
    expect(
        close(old_k, kept_k) and close(old_v, kept_v),
        "the caches given have changed; return new ones",
    )


@exercise("kv_cache_step", points=2)
def equals_the_whole(student):
    """Six tokens one by one give what they give at once."""
    q, k, v = qkv(2, 3, 6, 4)
    found, _, _ = steps(student, q, k, v)
    past = torch.cat(
        [v[:, :, :1], attention(q, k, v, torch.ones(6, 6, dtype=torch.bool).triu(0))[:, :, 1:]], 2
    )
    expect_close(
        found,
        attention(q, k, v),
        "token after token must give, row for row, what attention gives at once",
        {
            "the token does not look at itself: append its key and value before you attend": past,
            "the scores are not divided by sqrt(d)": attention(q, k, v, scale=1.0),
            "every token gets the first value: a causal mask of one row hides all columns but the first. One new token needs no "
            "mask, since nothing comes after it": v[:, :, :1].expand_as(v),
            "every token gets its own value alone: the cache is not looked at": v,
        },
        tolerance=1e-6,
    )


# -- count_parameters ------------------------------------------------------------------------------

SHAPE = ("vocab_size", "dim", "n_layers", "n_heads", "n_kv_heads", "head_dim", "ffn_dim")


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


@exercise("count_parameters", points=3)
def exact(student):
    """The project's four sizes, and two of no size that anybody uses."""
    odd = [
        ModelConfig(
            vocab_size=50, dim=12, n_layers=2, n_heads=3, n_kv_heads=1, head_dim=10, ffn_dim=7
        ),
        ModelConfig(
            vocab_size=30, dim=8, n_layers=1, n_heads=2, n_kv_heads=2, head_dim=4, ffn_dim=16
        ),
    ]
    for config in (SCALES["micro"], SCALES["pico"], SCALES["nano"], SCALES["mini"], *odd):
        shape = [getattr(config, name) for name in SHAPE]
        with torch.device("meta"):  # shapes without memory
            wanted = sum(p.numel() for p in Transformer(config).parameters())
        found = student.count_parameters(*shape)
        expect(isinstance(found, int), f"return a whole number, an int; yours is {found!r:.40}")
        vocab_size, dim, layers, heads, kv, d, ffn = shape
        expect_close(
            found,
            wanted,
            f"count_parameters{tuple(shape)}",
            {
                "embeddings and output matrix are one and the same, and you count it twice": count(
                    *shape, tied=False
                ),
                "the norms of queries and keys are missing: 2 head_dim a layer": count(
                    *shape, qk_norm=False
                ),
                "the norms of queries and keys are shared by all heads: 2 head_dim a layer": wanted
                + layers * d * (heads + kv - 2),
                "there are fewer heads for keys and values: n_kv_heads": count(
                    vocab_size, dim, layers, heads, heads, d, ffn
                ),
                "SwiGLU has three matrices: gate, up, down": count(*shape, ffn=2),
                "each layer has two norms of `dim`": count(*shape, norms=1),
                "the two norms of each layer are missing": count(*shape, norms=0),
                "the norm at the end is missing": count(*shape, last=0),
                "all norms are missing": count(*shape, norms=0, last=0, qk_norm=False),
                "the embeddings are missing": wanted - vocab_size * dim,
                "one layer is counted; there are n_layers": count(
                    vocab_size, dim, 1, heads, kv, d, ffn
                ),
                "n_heads * head_dim need not be `dim`": count(
                    vocab_size, dim, layers, heads, kv, d, ffn
                )
                - layers * (2 * dim * heads * d - 2 * dim * dim),
                "you count a bias for every matrix; there is none": wanted
                + layers * ((heads + 2 * kv) * d + 2 * dim + 2 * ffn),
            },
            tolerance=1e-12,
        )

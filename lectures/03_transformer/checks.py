"""What lecture 3 holds its exercises to: PyTorch's own functions, the library's model, turned unit
vectors, and properties that need no reference. cases.py has the values of known mistakes."""

import math
from pathlib import Path

import torch
import torch.nn.functional as F

from course.grade import close, exercise, expect, expect_close, gradients
from course.grade.lecture import load_module
from minilrm.model import SCALES, ModelConfig, Transformer

FORBIDDEN = ("minilrm.model", "minilrm.Transformer")
CASES = load_module(Path(__file__).with_name("cases.py"), "lecture_03_cases")
AT, noise, qkv = CASES.AT, CASES.noise, CASES.qkv


# -- rms_norm --------------------------------------------------------------------------------------


@exercise("rms_norm", points=2)
def value(student):
    """Two small vectors, and many at once; tensors of one, two and four axes."""
    x, ones = torch.tensor([[3.0, 4.0]], dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    expect_close(
        student.rms_norm(x.clone(), ones.clone()),
        torch.tensor([[0.848528, 1.131371]]),
        "x / sqrt(mean(x^2) + eps)",
        {
            "you divide by the length, the root of the *sum* of squares; it is the root of their "
            "mean": x / 5,
            "the root is missing": x / 12.5,
            "the mean is not subtracted: that is LayerNorm; RMSNorm only divides": F.layer_norm(
                x, (2,)
            ),
            "you divide by the standard deviation, which is about the mean; RMSNorm divides by the "
            "root of mean(x^2)": x / x.std(),
            "you divide by the standard deviation, which is about the mean; RMSNorm divides by the "
            "root of mean(x^2).": x / x.std(correction=0),
        },
    )
    for seed, shape in ((1, (2, 3, 8)), (2, (5,)), (3, (2, 2, 3, 6)), (4, (4, 3))):
        x, weight = noise(*shape, seed=seed), noise(shape[-1], seed=9)
        wanted = F.rms_norm(x, shape[-1:], weight, 1e-6)
        rows = x.reshape(-1, shape[-1]).T  # the size of each channel over the tokens
        across = F.rms_norm(rows, rows.shape[1:], eps=1e-6).T.reshape(shape) * weight
        expect_close(
            student.rms_norm(x.clone(), weight.clone()),
            wanted,
            f"x{list(shape)} with weights",
            {
                "the weight is not used": wanted / weight,
                "one size for all tokens: each token is divided by its own (mean over the last "
                "axis alone, keepdim=True)": F.rms_norm(x, shape, eps=1e-6) * weight,
                "the mean runs over the tokens; it runs over the channels (dim=-1)": across,
            },
        )
    x, weight = noise(2, 4).requires_grad_(True), noise(4).requires_grad_(True)
    gradients(student.rms_norm(x, weight).sum(), x, weight)


@exercise("rms_norm", points=1)
def small_numbers(student):
    """What eps is for."""
    found = student.rms_norm(torch.zeros(1, 4), torch.ones(4))
    expect(
        not torch.isnan(found).any(), "a token of zeros gives NaN: 0 / 0. Add eps under the root"
    )
    ones = torch.ones(4, dtype=torch.float64)
    for eps in (1e-6, 0.01):
        root = math.sqrt(eps)
        x = torch.tensor([[1.0, -2.0, 0.5, 3.0]], dtype=torch.float64) * root
        size = math.sqrt(3.5625) * root  # the root of mean(x^2), here about as large as that of eps
        expect_close(
            student.rms_norm(x.clone(), ones.clone(), eps),
            x / math.sqrt(4.5625 * eps),
            f"eps = {eps:g}, and x as small as its root",
            {
                "eps stands under the root, beside the mean; you add it to the root": (
                    x / (size + eps)
                ),
                "eps makes no difference here: it is added to the mean, under the root": x / size,
                "here your eps is 1e-6; use the argument": (F.rms_norm(x, (4,), eps=1e-6)),
            },
            tolerance=1e-6,
        )


# -- apply_rope ------------------------------------------------------------------------------------


@exercise("apply_rope", points=2)
def values(student):
    """Every unit vector at several positions, for several sizes and thetas; then their sums."""
    for d, theta in ((2, 10_000.0), (8, 10_000.0), (4, 100.0), (6, 50.0)):
        units = torch.eye(d, dtype=torch.float64).view(1, d, 1, d).repeat(1, 1, len(AT), 1)
        wanted = CASES.turned_units(d, lambda i, d=d, theta=theta: AT * theta ** (-2 * i / d))
        given = () if theta == 10_000.0 else (theta,)
        found = student.apply_rope(units.clone(), AT.clone(), *given)
        expect(found.shape == units.shape, f"return a tensor of x's shape, {list(units.shape)}")
        for t, position in enumerate(AT.tolist()):
            mistakes = CASES.mistaken_turns(d, theta, position)
            expect_close(
                found[:, :, t],
                wanted[:, :, t],
                f"the {d} unit vectors at position {position}, theta {theta:g}: each turns within "
                "its pair (i, i + d/2), by the angle t * theta ** (-2 i / d)",
                {message: table[:, :, t] for message, table in mistakes.items()},
            )
        mixed = noise(3, d, d, seed=d)  # a rotation of a sum is the sum of the rotations
        several = torch.einsum("bhi,itd->bhtd", mixed, units[0])
        expect_close(
            student.apply_rope(several, AT.clone(), *given),
            torch.einsum("bhi,itd->bhtd", mixed, wanted[0]),
            f"random x [3, {d}, 5, {d}]: every sequence and every head turns in the same way",
        )
    x = units.clone().requires_grad_(True)
    gradients(student.apply_rope(x, AT.clone()).sum(), x)


@exercise("apply_rope", points=2)
def distances_alone(student):
    """A rotation keeps lengths, and a product of query and key depends on their distance alone."""
    x, at = noise(1, 2, 6, 8), torch.arange(6)
    found = student.apply_rope(x.clone(), at.clone())
    expect(
        close(found.norm(dim=-1), x.norm(dim=-1), 1e-5),
        "a rotation keeps lengths, and yours changes them: each new "
        "channel is one of the pair times the cosine, plus or minus the other one times the sine",
    )
    q, k = (noise(1, 1, 1, 8, seed=s).expand(1, 1, 6, 8) for s in (1, 2))
    products = [
        student.apply_rope(q.clone(), at + shift)
        @ student.apply_rope(k.clone(), at + shift).transpose(-1, -2)
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

NOT_FINITE = (
    "your result holds infinity or NaN: either a token sees nothing, not even itself, or large "
    "scores overflow (use softmax, which subtracts the maximum, and not exp alone)"
)


@exercise("causal_attention", points=2)
def equals_pytorch(student):
    """The same as scaled_dot_product_attention to 1e-6, for several shapes and large scores."""
    for shape in ((2, 3, 7, 4), (1, 2, 5, 9), (3, 1, 12, 2), (2, 2, 1, 6)):
        q, k, v = qkv(*shape)
        wanted, mistakes = CASES.right_attention(q, k, v), CASES.mistaken_attention(q, k, v)
        expect_close(
            student.causal_attention(q.clone(), k.clone(), v.clone()),
            wanted,
            f"q, k, v {list(shape)}: softmax(q k^T / sqrt(d)) v, and no look ahead",
            mistakes,
            tolerance=1e-6,
        )
    q, k, v = qkv(1, 2, 8, 3)
    given = [x.clone().requires_grad_(True) for x in (q, k, v)]
    gradients(student.causal_attention(*given).sum(), *given)
    wanted = CASES.right_attention(40 * q, 40 * k, v)
    found = student.causal_attention(40 * q, 40 * k, v.clone())
    expect(not torch.isnan(found).any(), NOT_FINITE)
    expect_close(
        found,
        wanted,
        "scores of a thousand: what is hidden gets minus infinity; a large number is not enough",
        tolerance=1e-6,
    )


@exercise("causal_attention", points=1)
def no_future(student):
    """Changing what comes later changes nothing before it."""
    for tokens, cut in ((6, 4), (9, 2)):
        first = qkv(1, 2, tokens, 5)
        then = [x.clone() for x in first]
        for x in then:
            x[:, :, cut:] = noise(1, 2, tokens - cut, 5, seed=9)
        before = student.causal_attention(*(x.clone() for x in first))
        after = student.causal_attention(*(x.clone() for x in then))
        expect(
            close(before[:, :, :cut], after[:, :, :cut], 1e-9),
            f"of {tokens} tokens those from {cut} on were changed, and what the tokens before them "
            "get changed with them: they look into the future. While a model writes there is none, "
            "so training would teach it to cheat",
        )
        expect(
            not close(before[:, :, cut:], after[:, :, cut:]),
            f"of {tokens} tokens those from {cut} on were changed, and their own results stay as "
            "they were",
        )


@exercise("causal_attention", points=1)
def shares(student):
    """Weights sum to one, whatever the scores; and they depend on the scores."""
    for tokens in (5, 11):
        q, k, v = qkv(1, 2, tokens, 4)
        for size in (1, 1e4):
            found = student.causal_attention(size * q, k.clone(), torch.ones_like(v))
            expect(torch.isfinite(found).all(), NOT_FINITE)
            expect_close(
                found,
                torch.ones_like(v),
                "if all values are 1, everybody gets 1: the weights of a token sum to 1",
            )
        equal = student.causal_attention(torch.zeros_like(q), k.clone(), v.clone())
        means = v.cumsum(2) / torch.arange(1, tokens + 1).view(-1, 1)
        expect_close(equal, means, "if all scores are 0, each token gets the mean of v[0] .. v[t]")
        expect(
            not close(student.causal_attention(q.clone(), k.clone(), v.clone()), means),
            "each token gets the mean of the values so far, whatever q and k say",
        )


# -- kv_cache_step ---------------------------------------------------------------------------------


def steps(student, q, k, v):
    """Token after token; returns all outputs and the last caches."""
    cache_k, cache_v, outs = k[:, :, :0], v[:, :, :0], []
    for t in range(q.shape[2]):
        one = [x[:, :, t : t + 1].clone() for x in (q, k, v)]
        found = student.kv_cache_step(*one, cache_k, cache_v)
        expect(
            isinstance(found, (tuple, list)) and len(found) == 3,
            "return three tensors: out, cache_k, cache_v",
        )
        out, cache_k, cache_v = found
        expect(
            out.shape == one[0].shape,
            f"out has the shape {tuple(out.shape)}; it is one token's, {tuple(one[0].shape)}",
        )
        outs.append(out)
    return torch.cat(outs, 2)


@exercise("kv_cache_step", points=1)
def first_token(student):
    """An empty cache: the token sees itself alone."""
    for shape in ((2, 3, 1, 4), (1, 1, 1, 6)):
        q, k, v = qkv(*shape)
        given = [x.clone() for x in (q, k, v, k[:, :, :0], v[:, :, :0])]
        out, _, _ = student.kv_cache_step(*given)
        expect(
            close(out, v),
            "with an empty cache the token looks at itself alone, so out is v. Append the new key "
            "and value *before* you attend",
        )


@exercise("kv_cache_step", points=1)
def caches(student):
    """One column longer, at the end, and the old caches as they were."""
    for before in (5, 1):
        q, k, v = qkv(2, 3, 1, 4)
        kept_k, kept_v = noise(2, 3, before, 4, seed=4), noise(2, 3, before, 4, seed=5)
        old_k, old_v = kept_k.clone(), kept_v.clone()
        _, new_k, new_v = student.kv_cache_step(q.clone(), k.clone(), v.clone(), old_k, old_v)
        for new, kept, added, name in ((new_k, kept_k, k, "keys"), (new_v, kept_v, v, "values")):
            expect_close(
                new,
                torch.cat([kept, added], 2),
                f"the cache of {name} is the old one with the new column behind it",
                {
                    "the new column stands in front; tokens stand in their order": torch.cat(
                        [added, kept], 2
                    ),
                    f"nothing was appended to the cache of {name}": kept,
                    "the caches are exchanged: return out, keys, values": (
                        torch.cat([kept_v, v], 2) if name == "keys" else None
                    ),
                },
            )
        expect(
            close(old_k, kept_k) and close(old_v, kept_v),
            "your function changes its argument, the cache; return new ones",
        )


@exercise("kv_cache_step", points=2)
def equals_the_whole(student):
    """Tokens one by one give what they give at once, for several shapes and for large scores."""
    for shape, size in (
        ((2, 3, 6, 4), 1),
        ((1, 2, 11, 7), 1),
        ((3, 1, 4, 2), 1),
        ((1, 2, 5, 3), 40),
    ):
        q, k, v = qkv(*shape)
        q, k = size * q, size * k
        past = F.scaled_dot_product_attention(
            q, k, v, torch.ones(shape[2], shape[2]).tril(-1).bool()
        )
        past[:, :, 0] = v[:, :, 0]
        wanted = CASES.right_attention(q, k, v)
        bare = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=1.0)
        expect_close(
            steps(student, q, k, v),
            wanted,
            f"q, k, v {list(shape)}{', large scores' * (size > 1)}: token after token must give, "
            "row for row, what attention gives at once",
            {
                "the token does not look at itself: append its key and value before you attend": (
                    past
                ),
                "the scores are not divided by sqrt(d)": bare,
                "the scores are divided by 2; divide by the root of d, which depends on q": (
                    F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.5)
                ),
                "every token gets the first value: a causal mask of one row hides all columns but "
                "the first. One new token needs no mask, since nothing comes after it": (
                    v[:, :, :1].expand_as(v)
                ),
                "every token gets its own value alone: the cache is not read, or never grows": v,
            },
            tolerance=1e-6,
        )


# -- count_parameters ------------------------------------------------------------------------------


SHAPE = ("vocab_size", "dim", "n_layers", "n_heads", "n_kv_heads", "head_dim", "ffn_dim")
ODD = [(50, 12, 2, 3, 1, 10, 7), (30, 8, 1, 2, 2, 4, 16), (77, 10, 3, 6, 3, 4, 25)]


@exercise("count_parameters", points=3)
def exact(student):
    """The project's four sizes, and three of no size that anybody uses."""
    odd = [ModelConfig(**dict(zip(SHAPE, numbers, strict=True))) for numbers in ODD]
    for config in (SCALES["micro"], SCALES["pico"], SCALES["nano"], SCALES["mini"], *odd):
        shape = [getattr(config, name) for name in SHAPE]
        with torch.device("meta"):  # shapes without memory
            wanted = sum(p.numel() for p in Transformer(config).parameters())
        found = student.count_parameters(*shape)
        expect(isinstance(found, int), f"return a whole number, an int; yours is {found!r:.40}")
        expect_close(
            found,
            wanted,
            f"count_parameters{tuple(shape)}",
            CASES.miscounted(wanted, *shape),
            tolerance=1e-12,
        )

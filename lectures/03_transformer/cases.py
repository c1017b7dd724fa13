"""The numbers that checks.py works with, and what known mistakes make of them: a message and the
value that this mistake gives."""

import math

import torch
import torch.nn.functional as F


def noise(*shape, seed=0):
    """Normal numbers in float64, the same at each run."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# -- apply_rope -----------------------------------------------------------------------------------

AT = torch.tensor([3, 0, 1, 7, 40])


def turned_units(d, angle, neighbours=False, sign=1):
    """What rotations make of the d unit vectors, one a head: `[1, d, T, d]`. `angle(i)` is that of
    pair i at each position."""
    table, half = torch.zeros(1, d, len(AT), d, dtype=torch.float64), d // 2
    for i in range(d):
        pair, other = (i // 2, i ^ 1) if neighbours else (i % half, (i + half) % d)
        turn = angle(pair).double()
        table[0, i, :, i] = turn.cos()
        table[0, i, :, other] = turn.sin() * (sign if i < other else -sign)
    return table


def mistaken_turns(d, theta, position):
    """Message -> what this mistake makes of the unit vectors."""

    def angle(power, theta=theta):
        return lambda i: AT * theta ** (power * i / d)

    return {
        f"nothing is turned at position {position}: are the positions used as they are given?": (
            turned_units(d, lambda i: 0 * AT)
        ),
        "your pairs are neighbours, (0, 1), (2, 3), ...; here channel i goes with i + d/2 (both "
        "are in use, and do not mix)": turned_units(d, angle(-2), neighbours=True),
        "you turn backwards: the sign of the sine is the other one": turned_units(
            d, angle(-2), sign=-1
        ),
        "the exponent is -2 i / d, and you have -i / d": turned_units(d, angle(-1)),
        "the exponent is -2 i / d: the minus is missing": turned_units(d, angle(2)),
        "every pair turns by the same angle; pair i turns by t * theta ** (-2 i / d)": (
            turned_units(d, angle(0))
        ),
        "theta is not used; the angle is t * theta ** (-2 i / d)": turned_units(
            d, angle(-2, 10_000.0)
        ),
    }


# -- causal_attention ------------------------------------------------------------------------------


def qkv(*shape):
    return [noise(*shape, seed=s) for s in (1, 2, 3)]


def mistaken_attention(q, k, v):
    """Message -> what this mistake gives. PyTorch's attention does the work, with a wrong argument;
    with a unit matrix for v it gives the weights themselves."""
    T, d = q.shape[-2:]
    unit, past = (
        torch.eye(T, dtype=q.dtype).expand(*q.shape[:-1], T),
        torch.ones(T, T).tril().bool(),
    )
    strictly = F.scaled_dot_product_attention(q, k, v, past.tril(-1))
    strictly[..., 0, :] = math.nan  # a softmax over nothing
    by_query = F.scaled_dot_product_attention(k, q, unit, past.T).transpose(-1, -2)

    def scaled(scale):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale)

    return {
        "no mask: tokens look at what comes after them": F.scaled_dot_product_attention(q, k, v),
        "the scores are not divided by sqrt(d)": scaled(1.0),
        "the scores are divided by d; it is the root of d": scaled(1 / d),
        "d is the size of a head (the last axis), not the number of tokens": scaled(T**-0.5),
        "the scores are divided by 2; divide by the root of d, which depends on q": (scaled(0.5)),
        "a token may look at itself as well: the mask hides s > t (triu with diagonal=1); your "
        "first token sees nothing": strictly,
        "the mask is upside down: tokens look at the future and not at the past": (
            F.scaled_dot_product_attention(q, k, v, past.T)
        ),
        "you mask after the softmax, so the weights of a token no longer sum to 1; put minus "
        "infinity before it": F.scaled_dot_product_attention(q, k, unit).tril() @ v,
        "your softmax runs over the queries (dim=-2); each query shares out its attention over the "
        "keys (dim=-1)": by_query @ v,
    }


def right_attention(q, k, v):
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


# -- count_parameters ------------------------------------------------------------------------------


def miscounted(wanted, vocab_size, dim, layers, heads, kv, d, ffn):
    """Message -> the count that this mistake gives."""
    return {
        "embeddings and output matrix are one and the same, and you count it twice": (
            wanted + vocab_size * dim
        ),
        "the norms of queries and keys are missing: 2 head_dim a layer": wanted - layers * 2 * d,
        "the norms of queries and keys are shared by all heads: 2 head_dim a layer": (
            wanted + layers * d * (heads + kv - 2)
        ),
        "there are fewer heads for keys and values: n_kv_heads": (
            wanted + layers * 2 * dim * d * (heads - kv)
        ),
        "SwiGLU has three matrices: gate, up, down": wanted - layers * dim * ffn,
        "each layer has two norms of `dim`": wanted - layers * dim,
        "the two norms of each layer are missing": wanted - layers * 2 * dim,
        "the norm at the end is missing": wanted - dim,
        "all norms are missing": wanted - layers * (2 * dim + 2 * d) - dim,
        "the embeddings are missing": wanted - vocab_size * dim,
        "one layer is counted; there are n_layers": (
            (wanted - vocab_size * dim - dim) / layers + vocab_size * dim + dim
        ),
        "n_heads * head_dim need not be `dim`": wanted - layers * 2 * dim * (heads * d - dim),
        "you count a bias for every matrix; there is none": (
            wanted + layers * ((heads + 2 * kv) * d + 2 * dim + 2 * ffn)
        ),
    }

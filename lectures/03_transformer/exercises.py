"""Lecture 3, a transformer you can hold in your head: the exercises. Write the functions below,
then check them:

    python -m course.grade lectures/03_transformer

Shapes: B sequences, H heads, T tokens, d numbers a head, D the width of the model. None needs a
loop over tokens, and none needs more than eight lines. Matrix products (`@`) work on the last two
axes of a tensor and leave those before them alone. These are layers of a model that learns, so
gradient flows from each result back to its tensors.
"""

import torch
from torch import Tensor


def rms_norm(x: Tensor, weight: Tensor, eps: float = 1e-6) -> Tensor:
    """Bring each token to size one, then stretch each channel: `x[..., D]`, `weight[D]` -> the
    shape of x.

        y = x / sqrt(mean(x^2) + eps) * weight            mean over the last axis

    `x = [3, 4]` with weights 1 has mean(x^2) = 12.5, so y = [0.848528, 1.131371]. `x = 0` gives 0.
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def apply_rope(x: Tensor, positions: Tensor, theta: float = 10_000.0) -> Tensor:
    """Rotate queries or keys by their positions: `x[B, H, T, d]`, `positions[T]` (whole numbers) ->
    `[B, H, T, d]`.

    Channel i and channel i + d/2 make a pair, for i = 0 .. d/2 - 1. At position t the pair turns by
    the angle

        a = t * theta ** (-2 i / d)

        new x[i]       = x[i] cos a - x[i + d/2] sin a
        new x[i + d/2] = x[i + d/2] cos a + x[i] sin a

    At position 0 nothing changes. With d = 2 at position 1, [1, 0] becomes [cos 1, sin 1] =
    [0.540302, 0.841471]. With d = 4 the pairs are (0, 2), which turns by t, and (1, 3), which turns
    by t / 100.
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def causal_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Each token looks at itself and at those before it: `q, k, v [B, H, T, d]` -> `[B, H, T, d]`.

        scores[t, s]  = q[t] . k[s] / sqrt(d)       for s <= t, and minus infinity for s > t
        weights[t]    = softmax of scores[t]        over s
        out[t]        = sum over s of weights[t, s] v[s]

    Write it out; do not call `scaled_dot_product_attention`, which is what you are compared with.

    The first token can look only at itself, so `out[..., 0, :]` is `v[..., 0, :]`. If all keys are
    equal, token t gets the mean of v[0] .. v[t].
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def kv_cache_step(
    q: Tensor, k: Tensor, v: Tensor, cache_k: Tensor, cache_v: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Attention of one new token, with the keys and values of those before it at hand.

    `q, k, v [B, H, 1, d]` are the new token's; `cache_k, cache_v [B, H, S, d]` those of the S
    tokens before it, S >= 0. Returns (out `[B, H, 1, d]`, the new cache of keys `[B, H, S + 1, d]`,
    that of values); the caches given stay as they are.

    The new token looks at all before it *and at itself*. Done for token after token this gives, row
    for row, what `causal_attention` gives at once. With an empty cache (S = 0) `out` is `v`.
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def count_parameters(
    vocab_size: int,
    dim: int,
    n_layers: int,
    n_heads: int,
    n_kv_heads: int,
    head_dim: int,
    ffn_dim: int,
) -> int:
    """How many numbers the transformer of this lecture learns. No biases anywhere; the matrices of
    section 2 of the lecture:

        embeddings        vocab_size x dim, used again as the output matrix: counted once
        in each layer     two norms of `dim` numbers each; query matrix dim x (n_heads head_dim);
                          key and value matrix, dim x (n_kv_heads head_dim) each; output matrix
                          (n_heads head_dim) x dim; a norm of `head_dim` numbers for queries and one
                          for keys, shared by all heads; gate, up and down, three matrices of dim x
                          ffn_dim
        at the end        one norm of `dim` numbers

    The shipped base, `count_parameters(1024, 192, 6, 6, 2, 32, 512)`, has 2,558,784. Work it out;
    building a model to count would be cheating.
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION

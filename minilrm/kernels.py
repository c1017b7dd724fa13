"""What the transformer computes with: the formulas of `model.py`, in fewer passes over memory.

Every function here equals a line or two of plain PyTorch: its docstring says which, and a test
compares the two. Small models on a CPU spend their time on reading memory and on starting
operations, not on arithmetic. So two gradients are written out, layers that read the same input are
one product, short sequences do without PyTorch's fused attention, and the completions of a group
share the keys and values of their prompt.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Up to this many keys a CPU computes attention by explicit products: PyTorch's fused kernel is
# several times slower there on short sequences (its backward pass took 46 % of a training step at
# 112 tokens, the explicit one 6 %).
EXPLICIT_UP_TO = 384


# -- linear layers ---------------------------------------------------------------------------------


def join(x: Tensor, *layers: nn.Linear) -> Tensor:
    """Several linear layers of one input as one matrix product.

    x [..., D] -> [..., sum of the layers' widths]. Equals
    `torch.cat([layer(x) for layer in layers], dim=-1)`.
    """
    bias = torch.cat([layer.bias for layer in layers]) if layers[0].bias is not None else None
    return F.linear(x, torch.cat([layer.weight for layer in layers]), bias)


# -- RMSNorm ---------------------------------------------------------------------------------------


def normalise(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x / rms(x) * weight over the last dimension, computed in float32 (RMSNorm, arXiv 1910.07467).

    x [..., d]; weight [d], or [heads, d] against x [..., heads, d]. Returns the shape of x. Equals
    `x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * weight`.

    >>> normalise(torch.tensor([3.0, 4.0]), torch.ones(2), 0.0)  # rms = sqrt((9 + 16) / 2) = 3.5355
    tensor([0.8485, 1.1314])
    """
    return Normalise.apply(x, weight, eps)


class Normalise(torch.autograd.Function):
    """`normalise`, with its gradient written out.

    Autograd would keep and pass over six tensors of x's size, this over three: with y = x / rms(x)
    and g the gradient of the output, that of x is (g w - y mean(g w y)) / rms(x).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        length = torch.linalg.vector_norm(
            x, dim=-1, keepdim=True, dtype=torch.promote_types(x.dtype, torch.float32)
        )
        scale = torch.rsqrt(length.square() / x.shape[-1] + eps)
        y = x * scale
        ctx.save_for_backward(y, weight, scale)
        return (y * weight).to(torch.promote_types(x.dtype, weight.dtype))

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor, None]:
        y, weight, scale = ctx.saved_tensors
        along = g * y
        g_weight = along.sum_to_size(weight.shape)
        if weight.dim() == 1:
            along = (along @ weight.to(along.dtype)).unsqueeze(-1)
        else:
            along = (along * weight).sum(-1, keepdim=True)
        g_x = (g * weight).addcmul_(y, along, value=-1 / y.shape[-1]).mul_(scale)
        return g_x, g_weight, None


# -- attention -------------------------------------------------------------------------------------


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """softmax(q k^T / sqrt(d)) v, by whichever of the two ways below is faster.

    q [B, H, T, d]; k, v [B, Hkv, S, d], where query head h reads key head h // (H / Hkv)
    (grouped-query attention, arXiv 2305.13245); mask boolean, broadcastable to [B, 1, T, S], True
    where a query may look, None for causal. Returns [B, H, T, d].

    >>> q, k, v = torch.zeros(1, 4, 3, 8), torch.zeros(1, 2, 3, 8), torch.ones(1, 2, 3, 8)
    >>> attend(q, k, v, None).shape
    torch.Size([1, 4, 3, 8])
    """
    fused = q.is_cuda or k.shape[2] > EXPLICIT_UP_TO
    return (attend_fused if fused else attend_explicit)(q, k, v, mask)


def attend_fused(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """`attend` by PyTorch's kernel, which never writes the [T, S] weights down: for GPUs and for
    long sequences."""
    return F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=mask is None, enable_gqa=True
    )


def attend_explicit(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """`attend` written out. The H / Hkv query heads that share a key head are stacked into its
    rows, so that no key is copied."""
    B, H, T, d = q.shape
    if mask is None:
        mask = torch.ones(T, T, dtype=torch.bool, device=q.device).tril()
    bias = torch.zeros_like(mask, dtype=torch.float32)  # 0 or -inf: exact in any precision
    bias.masked_fill_(~mask, float("-inf"))
    q = (q * d**-0.5).reshape(B, k.shape[1], -1, d)
    return SoftmaxAttention.apply(q, k, v, bias, H).view(B, H, T, d)


class SoftmaxAttention(torch.autograd.Function):
    """O = P V with P = softmax(Q K^T + bias), and its gradient written out.

    With g the gradient of O (FlashAttention, arXiv 2205.14135, appendix B):

        dV = P^T g,  dP = g V^T,  dS = P * (dP - rowsum(dP * P)),  dQ = dS K,  dK = dS^T Q

    Autograd would keep Q K^T beside P, and pass over [T, S] once more for each step. The softmax
    alone is in float32: in bfloat16 a CPU takes twice as long.

    q [B, Hkv, G T, d] for G query heads to each key head, n_heads = Hkv G; k, v [B, Hkv, S, d];
    bias broadcasts to [B, n_heads, T, S]. Returns the shape of q.
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, bias: Tensor, n_heads: int) -> Tensor:
        scores = q @ k.transpose(-1, -2)
        by_head = scores.view(q.shape[0], n_heads, -1, k.shape[2])
        by_head = by_head.to(torch.promote_types(scores.dtype, torch.float32))
        weights = by_head.add_(bias).softmax(-1).to(v.dtype).view(scores.shape)
        ctx.save_for_backward(q, k, v, weights)
        return weights @ v

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        q, k, v, weights = ctx.saved_tensors
        g = g.to(v.dtype)
        # PyTorch's own kernel for P * (dP - rowsum(dP * P)): written with `sub` and `mul` it takes
        # three times as long.
        d_scores = torch._softmax_backward_data(g @ v.transpose(-1, -2), weights, -1, weights.dtype)
        d_q, d_k = d_scores @ k, d_scores.transpose(-1, -2) @ q
        return d_q, d_k, weights.transpose(-1, -2) @ g, None, None


# -- prompts that completions share ----------------------------------------------------------------


class SharedPrefix:
    """Keys and values of prompts, read once and seen by many completions, with gradients: for
    training (`rollout.episode_states`).

    It stands where `Transformer.hidden` takes a cache. Run the prompts through the model with a
    fresh `SharedPrefix`, call `expand(rows)` with the prompt of each completion, and run the
    completions with it. The completions of a group then cost no second prompt:

        prefix = SharedPrefix()
        model.hidden(prompts, cache=prefix)  # prompts [2, 6]
        prefix.expand(torch.tensor([0, 0, 1]))  # rows 0 and 1 go on from prompt 0, row 2 from 1
        model.hidden(completions, cache=prefix, positions=..., mask=...)  # completions [3, T]
    """

    def __init__(self) -> None:
        self.layers: list[tuple[Tensor, Tensor]] = []
        self.rows: Tensor | None = None  # None while the prompts are being read
        self.length = 0

    def expand(self, rows: Tensor) -> None:
        """rows [B]: which of the prompts each row of the coming batch goes on from."""
        self.rows = rows

    def store(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Keep the prompts' k, v [prompts, Hkv, T, d]; later, return them in front of the
        completions' own, [B, Hkv, prompt + T, d]."""
        if self.rows is None:
            if layer == len(self.layers):  # not when a layer is computed once more for its gradient
                self.layers.append((k, v))
            return k, v
        old_k, old_v = self.layers[layer]
        return torch.cat((old_k[self.rows], k), dim=2), torch.cat((old_v[self.rows], v), dim=2)

"""The transformer, in one file: Qwen3's block, small enough to read in a sitting.

RMSNorm before each sub-layer (arXiv 1910.07467), grouped-query attention (2305.13245) with QK-norm
(2010.04245) and rotary positions (2104.09864, rotate-half), SwiGLU (2002.05202), embeddings tied to
the output (1608.05859), no biases.

Modules carry Hugging Face's parameter names, so that a checkpoint of ours opens in `transformers`
and a Qwen3 folder opens here (`checkpoint/`). `B` is the batch, `T` the new tokens, `S` all tokens
a query may see, `D` the width.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class ModelConfig:
    """The shape of a model. `n_heads` query heads share `n_kv_heads` keys and values; `head_dim` is
    free."""

    vocab_size: int = 1024
    dim: int = 192
    n_layers: int = 6
    n_heads: int = 6
    n_kv_heads: int = 2
    head_dim: int = 32
    ffn_dim: int = 512
    max_seq_len: int = 512
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-6
    qk_norm: bool = True
    qkv_bias: bool = False
    tie_embeddings: bool = True


# Up to this many keys a CPU computes attention by explicit products: PyTorch's fused kernel is
# several times slower there on short sequences (its backward pass took 46 % of a training step at
# 112 tokens, the explicit one 6 %).
EXPLICIT_UP_TO = 384

# The dial: about 0.25M, 0.8M, 3M and 12M parameters.
SCALES = {
    "pico": ModelConfig(dim=80, n_layers=3, n_heads=4, n_kv_heads=2, head_dim=20, ffn_dim=208),
    "nano": ModelConfig(dim=128, n_layers=4, n_heads=4, n_kv_heads=2, head_dim=32, ffn_dim=320),
    "micro": ModelConfig(dim=192, n_layers=6, n_heads=6, n_kv_heads=2, head_dim=32, ffn_dim=512),
    "mini": ModelConfig(dim=384, n_layers=8, n_heads=8, n_kv_heads=2, head_dim=48, ffn_dim=1024),
}


class KVCache:
    """Keys and values of the tokens seen so far, allocated once. (Sampling has a faster one:
    `sampler/decoding.py`.)

    k, v: [n_layers, B, n_kv_heads, capacity, head_dim]. `length` columns are in use, the same for
    all rows.
    """

    def __init__(
        self, config: ModelConfig, batch: int, capacity: int, *, dtype=torch.float32, device="cpu"
    ):
        shape = (config.n_layers, batch, config.n_kv_heads, capacity, config.head_dim)
        self.k = torch.zeros(shape, dtype=dtype, device=device)
        self.v = torch.zeros(shape, dtype=dtype, device=device)
        self.length = 0

    def store(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Append the new columns k, v [B, Hkv, T, head_dim] of one layer; return all columns up to
        and with them."""
        start, end = self.length, self.length + k.shape[2]
        self.k[layer, :, :, start:end] = k
        self.v[layer, :, :, start:end] = v
        return self.k[layer, :, :, :end], self.v[layer, :, :, :end]


class SharedPrefix:
    """Keys and values of prompts, read once and seen by many completions, with gradients: for
    training.

    Run the prompts through the model with a fresh `SharedPrefix`, call `expand(rows)` with the
    prompt that each completion belongs to, and run the completions with it. The completions of a
    group then cost no second prompt.
    """

    def __init__(self):
        self.layers: list[tuple[Tensor, Tensor]] = []
        self.rows: Tensor | None = None  # None while the prompts are being read
        self.length = 0

    def expand(self, rows: Tensor) -> None:
        """rows [B]: the line of the prompts that each line of the coming batch goes on from."""
        self.rows = rows

    def store(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        if self.rows is None:
            self.layers.append((k, v))
            return k, v
        old_k, old_v = self.layers[layer]
        return torch.cat((old_k[self.rows], k), dim=2), torch.cat((old_v[self.rows], v), dim=2)


class Normalise(torch.autograd.Function):
    """x / rms(x) * weight over the last dimension, in float32, with its gradient written out.

    Autograd would keep and pass over six tensors of x's size, this over three: with y = x / rms(x)
    and g the gradient of the output, that of x is (g w - y mean(g w y)) / rms(x).
    """

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        length = torch.linalg.vector_norm(
            x, dim=-1, keepdim=True, dtype=torch.promote_types(x.dtype, torch.float32)
        )
        scale = torch.rsqrt(length.square() / x.shape[-1] + eps)
        y = x * scale
        ctx.save_for_backward(y, weight, scale)
        return (y * weight).to(torch.promote_types(x.dtype, weight.dtype))

    @staticmethod
    def backward(ctx, g: Tensor):
        y, weight, scale = ctx.saved_tensors
        along = g * y
        g_weight = along.sum_to_size(weight.shape)
        along = (
            (along @ weight.to(along.dtype)).unsqueeze(-1)
            if weight.dim() == 1
            else (along * weight).sum(-1, keepdim=True)
        )
        g_x = (g * weight).addcmul_(y, along, value=-1 / y.shape[-1]).mul_(scale)
        return g_x, g_weight, None


class RMSNorm(nn.Module):
    """x / rms(x) * weight, computed in float32."""

    def __init__(self, dim: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return Normalise.apply(x, self.weight, self.eps).to(x.dtype)


def rope_tables(positions: Tensor, head_dim: int, theta: float) -> tuple[Tensor, Tensor]:
    """cos and sin of the rotary angles, [..., T, head_dim], for positions [..., T]; float32."""
    frequencies = theta ** (
        -torch.arange(0, head_dim, 2, device=positions.device, dtype=torch.float32) / head_dim
    )
    angles = positions.float().unsqueeze(-1) * frequencies
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


def apply_rope(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate x [B, H, T, head_dim] by its positions: pairs are (i, i + head_dim/2), "rotate
    half"."""
    a, b = x.chunk(2, dim=-1)
    return x * cos.to(x.dtype) + torch.cat((-b, a), dim=-1) * sin.to(x.dtype)


class Attention(nn.Module):
    def __init__(self, config: ModelConfig, layer: int):
        super().__init__()
        self.config, self.layer = config, layer
        q_dim, kv_dim = config.n_heads * config.head_dim, config.n_kv_heads * config.head_dim
        self.q_proj = nn.Linear(config.dim, q_dim, bias=config.qkv_bias)
        self.k_proj = nn.Linear(config.dim, kv_dim, bias=config.qkv_bias)
        self.v_proj = nn.Linear(config.dim, kv_dim, bias=config.qkv_bias)
        self.o_proj = nn.Linear(q_dim, config.dim, bias=False)
        if config.qk_norm:
            self.q_norm = RMSNorm(config.head_dim, config.norm_eps)
            self.k_norm = RMSNorm(config.head_dim, config.norm_eps)

    def forward(
        self, x: Tensor, rope: tuple[Tensor, Tensor], mask: Tensor | None, cache: KVCache | None
    ) -> Tensor:
        B, T, _ = x.shape
        H, K = self.config.n_heads, self.config.n_kv_heads
        qk, v = (
            join(x, self.q_proj, self.k_proj, self.v_proj)
            .view(B, T, H + 2 * K, -1)
            .split((H + K, K), dim=2)
        )
        if self.config.qk_norm:
            weight = torch.cat((self.q_norm.weight.expand(H, -1), self.k_norm.weight.expand(K, -1)))
            qk = Normalise.apply(qk, weight, self.config.norm_eps)
        q, k = apply_rope(qk.transpose(1, 2), *rope).split((H, K), dim=1)
        v = v.transpose(1, 2)
        if cache is not None:
            k, v = cache.store(self.layer, k, v)
        fused = x.is_cuda or k.shape[2] > EXPLICIT_UP_TO
        out = (attend_fused if fused else attend)(q.to(v.dtype), k.to(v.dtype), v, mask)
        return self.o_proj(out.transpose(1, 2).reshape(B, T, -1))


def join(x: Tensor, *layers: nn.Linear) -> Tensor:
    """Several linear layers of one input as one matrix product: [..., D] -> [..., sum of their
    widths]."""
    bias = torch.cat([layer.bias for layer in layers]) if layers[0].bias is not None else None
    return F.linear(x, torch.cat([layer.weight for layer in layers]), bias)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """softmax(q k^T / sqrt(d)) v, written out.

    q [B, H, T, d]; k, v [B, Hkv, S, d]; mask boolean, broadcastable to [B, 1, T, S], True where a
    query may look, None for causal. Returns [B, H, T, d]. The H / Hkv query heads that share a key
    head are stacked into its rows, so that no key is copied.
    """
    B, H, T, d = q.shape
    if mask is None:
        mask = torch.ones(T, T, dtype=torch.bool, device=q.device).tril()
    bias = torch.zeros_like(mask, dtype=torch.float32).masked_fill_(
        ~mask, float("-inf")
    )  # 0 or -inf: exact in any precision
    q = (q * d**-0.5).reshape(B, k.shape[1], -1, d)
    return SoftmaxAttention.apply(q, k, v, bias, H).view(B, H, T, d)


class SoftmaxAttention(torch.autograd.Function):
    """O = P V with P = softmax(Q K^T + bias), and its gradient written out.

    With g the gradient of O:  dV = P^T g,  dP = g V^T,  dS = P * (dP - rowsum(dP * P)),  dQ = dS K,  dK = dS^T Q
    (FlashAttention, arXiv 2205.14135, appendix B). Autograd would keep Q K^T beside P, and pass over [T, S] once more for each
    step. The softmax alone is in float32: in bfloat16 a CPU takes twice as long.

    q [B, Hkv, G T, d] for G query heads to each key head, n_heads = Hkv G; k, v [B, Hkv, S, d];
    bias broadcasts to [B, n_heads, T, S]. Returns the shape of q.
    """

    @staticmethod
    def forward(ctx, q: Tensor, k: Tensor, v: Tensor, bias: Tensor, n_heads: int) -> Tensor:
        scores = q @ k.transpose(-1, -2)
        by_head = scores.view(q.shape[0], n_heads, -1, k.shape[2]).to(
            torch.promote_types(scores.dtype, torch.float32)
        )
        weights = by_head.add_(bias).softmax(-1).to(v.dtype).view(scores.shape)
        ctx.save_for_backward(q, k, v, weights)
        return weights @ v

    @staticmethod
    def backward(ctx, g: Tensor):
        q, k, v, weights = ctx.saved_tensors
        g = g.to(v.dtype)
        # PyTorch's own kernel for P * (dP - rowsum(dP * P)): written with `sub` and `mul` it takes
        # three times as long.
        d_scores = torch._softmax_backward_data(g @ v.transpose(-1, -2), weights, -1, weights.dtype)
        return (
            d_scores @ k,
            d_scores.transpose(-1, -2) @ q,
            weights.transpose(-1, -2) @ g,
            None,
            None,
        )


def attend_fused(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """The same by PyTorch's kernel, which never writes the [T, S] weights down: for GPUs and for
    long sequences."""
    return F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=mask is None, enable_gqa=True
    )


class FeedForward(nn.Module):
    """SwiGLU: down(silu(gate(x)) * up(x))."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.gate_proj = nn.Linear(config.dim, config.ffn_dim, bias=False)
        self.up_proj = nn.Linear(config.dim, config.ffn_dim, bias=False)
        self.down_proj = nn.Linear(config.ffn_dim, config.dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = join(x, self.gate_proj, self.up_proj).chunk(2, dim=-1)
        return self.down_proj(F.silu(gate) * up)


class Block(nn.Module):
    def __init__(self, config: ModelConfig, layer: int):
        super().__init__()
        self.input_layernorm = RMSNorm(config.dim, config.norm_eps)
        self.self_attn = Attention(config, layer)
        self.post_attention_layernorm = RMSNorm(config.dim, config.norm_eps)
        self.mlp = FeedForward(config)

    def forward(
        self, x: Tensor, rope: tuple[Tensor, Tensor], mask: Tensor | None, cache: KVCache | None
    ) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), rope, mask, cache)
        return x + self.mlp(self.post_attention_layernorm(x))


class Transformer(nn.Module):
    """A decoder-only language model.

    >>> model = Transformer(SCALES["pico"])
    >>> model(torch.tensor([[1, 2, 3]])).shape
    torch.Size([1, 3, 1024])
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.dim)
        self.layers = nn.ModuleList(Block(config, i) for i in range(config.n_layers))
        self.norm = RMSNorm(config.dim, config.norm_eps)
        if (
            not config.tie_embeddings
        ):  # "lm_head.weight" in files; here `lm_head` is the method that applies it
            self.lm_head_weight = nn.Parameter(torch.empty(config.vocab_size, config.dim))
        self.initialise()

    @torch.no_grad()
    def initialise(self) -> None:
        """Normal weights; what writes into the residual stream starts smaller the deeper the model
        (GPT-2's rule)."""
        for name, p in self.named_parameters():
            if p.dim() == 2:
                std = 0.02 if "embed" in name or "lm_head" in name else p.shape[1] ** -0.5
                if "o_proj" in name or "down_proj" in name:
                    std /= (2 * self.config.n_layers) ** 0.5
                nn.init.normal_(p, std=std)

    @property
    def output_weight(self) -> Tensor:
        return self.embed_tokens.weight if self.config.tie_embeddings else self.lm_head_weight

    def hidden(
        self,
        ids: Tensor,
        *,
        positions: Tensor | None = None,
        mask: Tensor | None = None,
        cache: KVCache | None = None,
    ) -> Tensor:
        """Last hidden states [B, T, D] of ids [B, T].

        positions [T] or [B, T]: default 0..T-1, or on from the cache's length. mask: boolean,
        broadcastable to [B, H, T, S], True where a query may look; None means causal. Rows padded
        at the right need no mask, since nothing looks at what comes after it. With a cache, the new
        keys and values are appended to it.
        """
        B, T = ids.shape
        past = cache.length if cache is not None else 0
        if positions is None:
            positions = torch.arange(past, past + T, device=ids.device)
        rope = rope_tables(positions, self.config.head_dim, self.config.rope_theta)
        if positions.dim() == 2:  # one row of positions a sequence: add the head dimension
            rope = rope[0].unsqueeze(1), rope[1].unsqueeze(1)
        if mask is None and past:
            mask = cached_mask(past, T, ids.device)
        x = self.embed_tokens(ids)
        for block in self.layers:
            x = block(x, rope, mask, cache)
        if cache is not None:
            cache.length += T
        return self.norm(x)

    def lm_head(self, hidden: Tensor) -> Tensor:
        """Logits [..., V] of hidden states [..., D]. Losses call it only where they need a
        logit."""
        return F.linear(hidden, self.output_weight.to(hidden.dtype))

    def forward(self, ids: Tensor, **kwargs) -> Tensor:
        """Logits [B, T, V]; arguments as `hidden`."""
        return self.lm_head(self.hidden(ids, **kwargs))


def cached_mask(past: int, new: int, device) -> Tensor:
    """[T, S]: the new tokens see every column before them, and each other causally."""
    return torch.ones(new, past + new, dtype=torch.bool, device=device).tril(past)


class ScalarHead(nn.Module):
    """One number a position out of hidden states: a value function, or a reward model. [B, T, D] ->
    [B, T]."""

    def __init__(self, dim: int):
        super().__init__()
        self.linear = nn.Linear(dim, 1)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.linear(hidden).squeeze(-1)


def count_parameters(model: nn.Module) -> int:
    """How many numbers the model has learnt; tied weights count once."""
    return sum(p.numel() for p in model.parameters())

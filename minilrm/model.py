"""The transformer, in one file: Qwen3's block, small enough to read in a sitting.

RMSNorm before each sub-layer (arXiv 1910.07467), grouped-query attention (2305.13245) with QK-norm
(2010.04245) and rotary positions (2104.09864, rotate-half), SwiGLU (2002.05202), embeddings tied to
the output (1608.05859), no biases.

Modules carry Hugging Face's parameter names, so that a checkpoint of ours opens in `transformers`
and a Qwen3 folder opens here (`checkpoint/`). The arithmetic that has to be fast is called by name
from `kernels.py`: `normalise` is RMSNorm's formula, `attend` that of attention, `join` applies
several linear layers to one input.

In shapes `B` is the batch, `T` the new tokens, `S` all tokens a query may see, `D` the width, `H`
the query heads, `K` the key heads, `d` the width of a head (`head_dim`).
"""

import copy
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from minilrm.kernels import SharedPrefix, attend, join, normalise


@dataclass(frozen=True)
class ModelConfig:
    """The shape of a model.

    `n_heads` query heads share `n_kv_heads` keys and values. `head_dim` is free: n_heads * head_dim
    need not be `dim`.
    """

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


# The dial: about 0.25M, 0.8M, 3M and 12M parameters.
SCALES = {
    "pico": ModelConfig(dim=80, n_layers=3, n_heads=4, n_kv_heads=2, head_dim=20, ffn_dim=208),
    "nano": ModelConfig(dim=128, n_layers=4, n_heads=4, n_kv_heads=2, head_dim=32, ffn_dim=320),
    "micro": ModelConfig(dim=192, n_layers=6, n_heads=6, n_kv_heads=2, head_dim=32, ffn_dim=512),
    "mini": ModelConfig(dim=384, n_layers=8, n_heads=8, n_kv_heads=2, head_dim=48, ffn_dim=1024),
}


class KVCache:
    """The key-value cache: keys and values of the tokens seen so far, so that no token is read
    twice. Allocated once, for `capacity` tokens. (Sampling has a faster one: `sampler/cache.py`.)

    k, v: [n_layers, B, K, capacity, d]. `length` columns are in use, the same for all rows.

    >>> model = Transformer(SCALES["pico"])
    >>> cache = KVCache(model.config, batch=1, capacity=8)
    >>> model(torch.tensor([[5, 6, 7]]), cache=cache).shape  # prefill: three tokens at once
    torch.Size([1, 3, 1024])
    >>> model(torch.tensor([[8]]), cache=cache).shape  # a fourth: only this one is computed
    torch.Size([1, 1, 1024])
    """

    def __init__(
        self,
        config: ModelConfig,
        batch: int,
        capacity: int,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ):
        shape = (config.n_layers, batch, config.n_kv_heads, capacity, config.head_dim)
        self.k = torch.zeros(shape, dtype=dtype, device=device)
        self.v = torch.zeros(shape, dtype=dtype, device=device)
        self.length = 0

    def store(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Append the new columns k, v [B, K, T, d] of one layer; return all columns up to and with
        them, [B, K, S, d]."""
        start, end = self.length, self.length + k.shape[2]
        self.k[layer, :, :, start:end] = k
        self.v[layer, :, :, start:end] = v
        return self.k[layer, :, :, :end], self.v[layer, :, :, :end]


Cache = KVCache | SharedPrefix  # what may stand where a cache is taken


class RMSNorm(nn.Module):
    """x / rms(x) * weight, computed in float32: each token's vector brought to length sqrt(D), then
    scaled by a learnt weight."""

    def __init__(self, dim: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return normalise(x, self.weight, self.eps).to(x.dtype)


def rope_tables(positions: Tensor, head_dim: int, theta: float) -> tuple[Tensor, Tensor]:
    """cos and sin of the rotary angles, each [..., T, d], for positions [..., T]; float32.

    Pair i of a head turns by position * theta^(-2i / d): the first pairs fast, the last slowly.
    """
    frequencies = theta ** (
        -torch.arange(0, head_dim, 2, device=positions.device, dtype=torch.float32) / head_dim
    )
    angles = positions.float().unsqueeze(-1) * frequencies
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


def apply_rope(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate x [B, H, T, d] by its positions. Pairs are (i, i + d / 2), the "rotate half" layout.

    The product of a rotated query and a rotated key depends on their distance alone.
    """
    a, b = x.chunk(2, dim=-1)
    return x * cos.to(x.dtype) + torch.cat((-b, a), dim=-1) * sin.to(x.dtype)


class Attention(nn.Module):
    """Grouped-query attention: each of the K key and value heads serves H / K query heads."""

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
        self, x: Tensor, rope: tuple[Tensor, Tensor], mask: Tensor | None, cache: Cache | None
    ) -> Tensor:
        q, k, v = self.queries_keys_values(x, rope)
        if cache is not None:
            k, v = cache.store(self.layer, k, v)
        out = attend(q.to(v.dtype), k.to(v.dtype), v, mask)
        return self.o_proj(out.transpose(1, 2).flatten(2))

    def queries_keys_values(
        self, x: Tensor, rope: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """x [B, T, D] -> q [B, H, T, d], k [B, K, T, d], v [B, K, T, d]:

            q = rope(q_norm(q_proj(x))),  k = rope(k_norm(k_proj(x))),  v = v_proj(x)

        Queries and keys are treated alike, so they stay one tensor up to the end: the same numbers
        in half the operations.
        """
        B, T, _ = x.shape
        H, K = self.config.n_heads, self.config.n_kv_heads
        heads = join(x, self.q_proj, self.k_proj, self.v_proj).view(B, T, H + 2 * K, -1)
        qk, v = heads.split((H + K, K), dim=2)
        if self.config.qk_norm:
            weight = torch.cat((self.q_norm.weight.expand(H, -1), self.k_norm.weight.expand(K, -1)))
            qk = normalise(qk, weight, self.config.norm_eps)
        q, k = apply_rope(qk.transpose(1, 2), *rope).split((H, K), dim=1)
        return q, k, v.transpose(1, 2)


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
    """A layer: attention, then the feed-forward network, each added to the residual stream x
    [B, T, D].

    gradient_checkpointing: keep the input alone for the backward pass, which computes the rest of
    the layer again (arXiv 1604.06174): a fraction of the memory, a third more time.
    """

    gradient_checkpointing = False

    def __init__(self, config: ModelConfig, layer: int):
        super().__init__()
        self.input_layernorm = RMSNorm(config.dim, config.norm_eps)
        self.self_attn = Attention(config, layer)
        self.post_attention_layernorm = RMSNorm(config.dim, config.norm_eps)
        self.mlp = FeedForward(config)

    def forward(
        self, x: Tensor, rope: tuple[Tensor, Tensor], mask: Tensor | None, cache: Cache | None
    ) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), rope, mask, cache)
        return x + self.mlp(self.post_attention_layernorm(x))

    def __call__(self, x: Tensor, rope: Any, mask: Tensor | None, cache: Cache | None) -> Tensor:
        """`forward`, which the backward pass calls once more where gradients are checkpointed."""
        if not (self.gradient_checkpointing and torch.is_grad_enabled()):
            return super().__call__(x, rope, mask, cache)
        kept = copy.copy(cache)  # as it is now, whatever is stored in it later
        return checkpoint(super().__call__, x, rope, mask, kept, use_reentrant=False)


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
        if not config.tie_embeddings:  # "lm_head.weight" in files; `lm_head` is a method here
            self.lm_head_weight = nn.Parameter(torch.empty(config.vocab_size, config.dim))
        self.initialise()

    @torch.no_grad()
    def initialise(self) -> None:
        """Normal weights. The layers that write into the residual stream (`o_proj`, `down_proj`)
        start smaller the deeper the model is: GPT-2's rule."""
        for name, p in self.named_parameters():
            if p.dim() == 2:
                std = 0.02 if "embed" in name or "lm_head" in name else p.shape[1] ** -0.5
                if "o_proj" in name or "down_proj" in name:
                    std /= (2 * self.config.n_layers) ** 0.5
                nn.init.normal_(p, std=std)

    @property
    def output_weight(self) -> Tensor:
        """The matrix of the output layer, [V, D]: that of the embeddings if they are tied."""
        return self.embed_tokens.weight if self.config.tie_embeddings else self.lm_head_weight

    def hidden(
        self,
        ids: Tensor,
        *,
        positions: Tensor | None = None,
        mask: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        """Last hidden states [B, T, D] of ids [B, T].

        positions [T] or [B, T]: default 0..T-1, or on from the cache's length. mask: boolean,
        broadcastable to [B, H, T, S], True where a query may look; None means causal. Rows padded
        at the right need no mask, since no token looks at those after it. With a cache, the new
        keys and values are appended to it.
        """
        B, T = ids.shape
        past = cache.length if cache is not None else 0
        if positions is None:
            positions = torch.arange(past, past + T, device=ids.device)
        rope = rope_tables(positions, self.config.head_dim, self.config.rope_theta)
        if positions.dim() == 2:  # one row of positions per sequence: add the head dimension
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
        """Logits [..., V] of hidden states [..., D]. Losses call it only for the states they need
        logits of."""
        return F.linear(hidden, self.output_weight.to(hidden.dtype))

    def forward(
        self,
        ids: Tensor,
        *,
        positions: Tensor | None = None,
        mask: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        """Logits [B, T, V]; arguments as `hidden`."""
        return self.lm_head(self.hidden(ids, positions=positions, mask=mask, cache=cache))


def cached_mask(past: int, new: int, device: torch.device) -> Tensor:
    """[T, S]: the new tokens see every column before them, and each other causally."""
    return torch.ones(new, past + new, dtype=torch.bool, device=device).tril(past)


class ScalarHead(nn.Module):
    """One number per position out of hidden states, [B, T, D] -> [B, T]: a value function, or a
    reward model."""

    def __init__(self, dim: int):
        super().__init__()
        self.linear = nn.Linear(dim, 1)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.linear(hidden.to(self.linear.weight.dtype)).squeeze(-1)


def count_parameters(model: nn.Module) -> int:
    """How many numbers the model learns; tied weights count once."""
    return sum(p.numel() for p in model.parameters())

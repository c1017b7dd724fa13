"""Decoding: one more token for each row of a batch, again and again. `model.py` once more, laid out
for speed.

The function is the same (the tests compare the two); what is different is when things are computed.
Decoding multiplies small matrices thousands of times, so what costs is reading the cache and
starting operations, not arithmetic:

- a weight that follows another is multiplied into it once: RMSNorm's weight into the matrix behind
it, 1 / sqrt(d) into
  the queries' norm; matrices that read the same vector (q, k, v; gate, up) are one;
- keys and values lie in memory as the batched products want them, in blocks, since those are
several times slower on
  slices; columns that hold nothing yet are hidden by a bias, which all layers share;
- rotating a pair of numbers is one multiplication by e^(i angle), once the two numbers of a pair
stand side by side;
- the residual stream stays in float32, as it does in training under autocast: the sampler's and the
trainer's
  log-probabilities are then closer, and on a CPU it is no slower.

Left out, though bigger systems have it: a prompt's keys and values kept once for all completions of
the group (2402.05099), new prompts that join as rows finish ("continuous batching"), paged memory
(2309.06180).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from minilrm.model import Block, KVCache, ModelConfig, Transformer

BLOCK = 32  # the cache grows by so many columns at a time


class DecodingCache:
    """Keys and values of B rows that all end in the same column, with room for the columns to come.

    A tensor a layer: k [B, n_kv_heads, capacity, head_dim], v [B, n_kv_heads, head_dim, capacity]
    (so bfloat16 products are fastest). `length` columns are in use, the others hold zeros: a weight
    of 0 times what happens to lie in fresh memory could be NaN. Row b begins in column start[b], so
    its next token has position length - start[b]. bias [B, 1, capacity] is added to the scores: 0
    where a row may look, -inf before its beginning and behind its end.
    """

    def __init__(self, k: Tensor, v: Tensor, start: Tensor, length: int):
        """k, v: as above, with a dimension of layers in front; start [B]."""
        self.k, self.v, self.start, self.length = list(k), list(v), start, length
        column = torch.arange(k.shape[3], device=k.device)
        hidden = (column < start[:, None]) | (column >= length)
        self.bias = torch.zeros_like(hidden, dtype=k.dtype).masked_fill_(hidden, float("-inf"))[
            :, None
        ]

    def open_column(self) -> int:
        """Begin a new column, for the layers to write into."""
        if self.length == self.bias.shape[-1]:
            self.k = [F.pad(x, (0, 0, 0, BLOCK)) for x in self.k]
            self.v = [F.pad(x, (0, BLOCK)) for x in self.v]
            self.bias = F.pad(self.bias, (0, BLOCK), value=float("-inf"))
        self.bias[..., self.length] = 0
        self.length += 1
        return self.length - 1

    def keep(self, lines: Tensor) -> None:
        """Keep only these lines of the batch."""
        self.k, self.v = ([x.index_select(0, lines) for x in layers] for layers in (self.k, self.v))
        self.bias, self.start = self.bias[lines], self.start[lines]


class FusedBlock:
    """The weights of one `Block`, multiplied and stacked for decoding."""

    def __init__(self, block: Block, config: ModelConfig, dtype: torch.dtype):
        self.config, attn, mlp = config, block.self_attn, block.mlp
        self.turned = (
            config.n_heads + config.n_kv_heads
        )  # the heads that positions rotate: queries and keys
        order, d = pair_order(config.head_dim), config.head_dim
        first, second = block.input_layernorm.weight, block.post_attention_layernorm.weight
        layers = attn.q_proj, attn.k_proj, attn.v_proj
        self.qkv = stack([linear.weight for linear in layers], order, d).mul(first).to(dtype)
        self.qkv_bias = (
            stack([linear.bias for linear in layers], order, d).to(dtype)
            if config.qkv_bias
            else None
        )
        self.scale = torch.ones(self.turned, d, device=self.qkv.device)
        if config.qk_norm:
            self.scale[: config.n_heads], self.scale[config.n_heads :] = (
                norm.weight[order] for norm in (attn.q_norm, attn.k_norm)
            )
        self.scale[: config.n_heads] *= d**-0.5
        self.out = attn.o_proj.weight.to(dtype)
        self.gate_up = (
            torch.cat((mlp.gate_proj.weight, mlp.up_proj.weight)).float().mul(second).to(dtype)
        )
        self.down = mlp.down_proj.weight.to(dtype)

    def __call__(
        self, x: Tensor, turn: Tensor, k: Tensor, v: Tensor, bias: Tensor, column: int
    ) -> Tensor:
        """x [B, D]; turn [B, 1, head_dim / 2]; k, v, bias: this layer's cache, whose column is to
        be written."""
        x = x + F.linear(
            self.attend(normed(x, self.config.norm_eps), turn, k, v, bias, column), self.out
        )
        gate, up = F.linear(normed(x, self.config.norm_eps).to(self.out.dtype), self.gate_up).chunk(
            2, dim=-1
        )
        return x + F.linear(F.silu(gate) * up, self.down)

    def attend(
        self, x: Tensor, turn: Tensor, k: Tensor, v: Tensor, bias: Tensor, column: int
    ) -> Tensor:
        B, heads = len(x), self.config.n_heads
        qkv = F.linear(x.to(self.qkv.dtype), self.qkv, self.qkv_bias).view(
            B, -1, self.config.head_dim
        )
        qk = qkv[:, : self.turned].float()
        if self.config.qk_norm:
            qk = normed(qk, self.config.norm_eps)
        qk = rotate(qk * self.scale, turn)
        k[:, :, column], v[..., column] = qk[:, heads:], qkv[:, self.turned :]
        # The queries that share a key head are the rows of one product: [B * n_kv_heads] x [shared,
        # d] x [d, capacity].
        q = qk[:, :heads].to(k.dtype).reshape(B * k.shape[1], -1, k.shape[3])
        scores = torch.bmm(q, k.flatten(0, 1).transpose(1, 2)).view(B, heads, -1).add_(bias)
        weights = scores.softmax(-1).view(len(q), -1, scores.shape[-1])
        return torch.bmm(weights, v.flatten(0, 1).transpose(1, 2)).view(B, -1)


class FusedTransformer:
    """The weights of a `Transformer`, copied for decoding, in `dtype`; for texts of at most
    `length` tokens."""

    def __init__(self, model: Transformer, dtype: torch.dtype, length: int):
        c = self.config = model.config
        self.embedding = model.embed_tokens.weight.float()
        self.blocks = [FusedBlock(block, c, dtype) for block in model.layers]
        self.head = model.output_weight.float().mul(model.norm.weight).to(dtype)
        self.turns = turns(length, c.head_dim, c.rope_theta).to(self.head.device)

    def step(self, ids: Tensor, cache: DecodingCache) -> Tensor:
        """Append a token to each row, ids [B]; return the logits [B, V] of the next one."""
        turn = self.turns[cache.length - cache.start][:, None]
        x, column = self.embedding[ids], cache.open_column()
        for block, k, v in zip(self.blocks, cache.k, cache.v, strict=True):
            x = block(x, turn, k, v, cache.bias, column)
        return F.linear(normed(x, self.config.norm_eps).to(self.head.dtype), self.head)


def normed(x: Tensor, eps: float) -> Tensor:
    """x / rms(x), without a weight."""
    return F.rms_norm(x, x.shape[-1:], None, eps)


def pair_order(head_dim: int) -> Tensor:
    """The order of a head's numbers in which those that are rotated together, i and i + head_dim /
    2, are neighbours.

    Queries and keys take it both, so that their products do not change.

    >>> pair_order(6).tolist()
    [0, 3, 1, 4, 2, 5]
    """
    return torch.arange(head_dim).view(2, -1).T.flatten()


def stack(qkv: list[Tensor], order: Tensor, head_dim: int) -> Tensor:
    """Weights (or biases) of q, k and v as one, the rows of each head of q and k in the new order;
    float32."""
    q, k, v = (x.float() for x in qkv)
    q, k = (x.unflatten(0, (-1, head_dim))[:, order].flatten(0, 1) for x in (q, k))
    return torch.cat((q, k, v))


def turns(length: int, head_dim: int, theta: float) -> Tensor:
    """e^(i angle) for each position and pair: [length, head_dim / 2], complex. The angles of
    `model.rope_tables`."""
    frequencies = theta ** (-torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim)
    angles = torch.arange(length)[:, None] * frequencies
    return torch.polar(torch.ones_like(angles), angles)


def rotate(x: Tensor, turn: Tensor) -> Tensor:
    """x [B, heads, head_dim] with neighbouring pairs, turned by their position's angles."""
    return torch.view_as_real(torch.view_as_complex(x.unflatten(-1, (-1, 2))) * turn).flatten(-2)


def prefill(model: Transformer, prompts: list[list[int]], n: int) -> tuple[DecodingCache, Tensor]:
    """Read every prompt once; return a cache with `n` rows a prompt, and the logits [rows, V] of
    their first token.

    Prompts are padded at the left, so that all end in the last column. Padding is hidden from them,
    and sees itself only because a softmax over nothing would be NaN.
    """
    parameter, width = next(model.parameters()), max(map(len, prompts))
    place = {"device": parameter.device}
    ids = torch.tensor([[0] * (width - len(p)) + p for p in prompts], **place)
    start = torch.tensor([width - len(p) for p in prompts], **place)
    column = torch.arange(width, **place)
    seen = (column >= start[:, None, None]) & (column <= column[:, None]) | torch.eye(
        width, dtype=torch.bool, **place
    )
    room = -(-width // BLOCK) * BLOCK
    cache = KVCache(model.config, len(prompts), room, dtype=parameter.dtype, **place)
    hidden = model.hidden(
        ids, positions=(column - start[:, None]).clamp(min=0), mask=seen[:, None], cache=cache
    )
    k, v = (
        cache.k[..., pair_order(model.config.head_dim).to(parameter.device)],
        cache.v.transpose(-1, -2),
    )
    k, v, start = k.repeat_interleave(n, 1), v.repeat_interleave(n, 1), start.repeat_interleave(n)
    return DecodingCache(k, v, start, width), model.lm_head(hidden[:, -1]).repeat_interleave(
        n, dim=0
    )

"""`model.py` once more, laid out for decoding: one more token for each row of a batch.

The function is the same (the tests compare the two); what differs is when things are computed.
Decoding multiplies small matrices thousands of times, so what costs is reading the cache and
starting operations, not arithmetic:

- A weight that follows another is multiplied into it once: RMSNorm's weight into the matrix behind
  it, 1 / sqrt(d) into the queries' norm. Matrices that read the same vector (q, k, v; gate, up) are
  one.
- Keys and values lie in memory as the batched products want them, in blocks, since those products
  are several times slower on slices. Columns that hold nothing yet are hidden by a bias, which all
  layers share.
- Rotating a pair of numbers is one multiplication by e^(i angle), once the two numbers of a pair
  stand side by side.
- The residual stream stays in float32, as it does in training under autocast: the sampler's and the
  trainer's log-probabilities are then closer, and on a CPU it is no slower.

Left out, though bigger systems have it: a prompt's keys and values kept once for all completions of
the group (2402.05099), new prompts that join as rows finish ("continuous batching"), paged memory
(2309.06180).
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from minilrm.model import Block, ModelConfig, Transformer
from minilrm.sampler.cache import Cache


class FusedTransformer:
    """The weights of a `Transformer`, multiplied together and copied in `dtype`: what is done to
    the model later does not reach them."""

    @torch.no_grad()
    def __init__(self, model: Transformer, dtype: torch.dtype):
        c = self.config = model.config
        self.embedding = model.embed_tokens.weight.to(torch.float32, copy=True)
        self.blocks = [FusedBlock(cast(Block, block), c, dtype) for block in model.layers]
        self.head = model.output_weight.float().mul(model.norm.weight).to(dtype)
        self.turns = turns(c.max_seq_len, c.head_dim, c.rope_theta).to(self.head.device)

    def step(self, ids: Tensor, cache: Cache) -> Tensor:
        """Append a token to each row, ids [B]; return the logits [B, V] of the next one."""
        turn = self.turns[cache.length - cache.start][:, None]
        x, column = self.embedding[ids], cache.open_column()
        for block, k, v in zip(self.blocks, cache.k, cache.v, strict=True):
            x = block(x, turn, k, v, cache.bias, column)
        return F.linear(normed(x, self.config.norm_eps).to(self.head.dtype), self.head)


class FusedBlock:
    """The weights of one `Block`, multiplied together and stacked for decoding."""

    def __init__(self, block: Block, config: ModelConfig, dtype: torch.dtype):
        self.config, attn, mlp = config, block.self_attn, block.mlp
        # The heads that positions rotate: queries and keys.
        self.turned = config.n_heads + config.n_kv_heads
        order, d = pair_order(config.head_dim), config.head_dim
        first, second = block.input_layernorm.weight, block.post_attention_layernorm.weight
        layers = attn.q_proj, attn.k_proj, attn.v_proj
        self.qkv = stack([layer.weight for layer in layers], order, d).mul(first).to(dtype)
        self.qkv_bias = (
            stack([layer.bias for layer in layers], order, d).to(dtype) if config.qkv_bias else None
        )
        self.scale = torch.ones(self.turned, d, device=self.qkv.device)
        if config.qk_norm:
            self.scale[: config.n_heads] = attn.q_norm.weight[order]
            self.scale[config.n_heads :] = attn.k_norm.weight[order]
        self.scale[: config.n_heads] *= d**-0.5
        self.out = attn.o_proj.weight.to(dtype, copy=True)
        gate_up = torch.cat((mlp.gate_proj.weight, mlp.up_proj.weight))
        self.gate_up = gate_up.float().mul(second).to(dtype)
        self.down = mlp.down_proj.weight.to(dtype, copy=True)

    def __call__(
        self, x: Tensor, turn: Tensor, k: Tensor, v: Tensor, bias: Tensor, column: int
    ) -> Tensor:
        """x [B, D] -> [B, D]; turn [B, 1, head_dim / 2]; k, v, bias: this layer's cache, whose
        column is to be written."""
        eps = self.config.norm_eps
        x = x + F.linear(self.attend(normed(x, eps), turn, k, v, bias, column), self.out)
        gate, up = F.linear(normed(x, eps).to(self.out.dtype), self.gate_up).chunk(2, dim=-1)
        return x + F.linear(F.silu(gate) * up, self.down)

    def attend(
        self, x: Tensor, turn: Tensor, k: Tensor, v: Tensor, bias: Tensor, column: int
    ) -> Tensor:
        """x [B, D] -> [B, n_heads * head_dim]; writes the new token's key and value."""
        B, heads, d = len(x), self.config.n_heads, self.config.head_dim
        qkv = F.linear(x.to(self.qkv.dtype), self.qkv, self.qkv_bias).view(B, -1, d)
        qk = qkv[:, : self.turned].float()
        if self.config.qk_norm:
            qk = normed(qk, self.config.norm_eps)
        qk = rotate(qk * self.scale, turn)
        k[:, :, column], v[..., column] = qk[:, heads:], qkv[:, self.turned :]
        # The queries that share a key head are the rows of one product:
        # [B * n_kv_heads] x [shared, d] x [d, capacity].
        q = qk[:, :heads].to(k.dtype).reshape(B * k.shape[1], -1, d)
        scores = torch.bmm(q, k.flatten(0, 1).transpose(1, 2)).view(B, heads, -1).add_(bias)
        weights = scores.softmax(-1).view(len(q), -1, scores.shape[-1])
        return torch.bmm(weights, v.flatten(0, 1).transpose(1, 2)).view(B, -1)


def normed(x: Tensor, eps: float) -> Tensor:
    """x / rms(x), without a weight."""
    return F.rms_norm(x, x.shape[-1:], None, eps)


def pair_order(head_dim: int) -> Tensor:
    """The order of a head's numbers in which those that are rotated together, i and i + head_dim /
    2, are neighbours.

    Queries and keys both take it, so that their products do not change.

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

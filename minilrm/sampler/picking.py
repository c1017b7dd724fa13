"""From logits to a token: temperature, top-k, top-p, and the draw itself."""

from dataclasses import dataclass

import torch
from torch import Tensor


def uniform_noise(rows: int, steps: int, seed: int | None) -> Tensor:
    """One number in [0, 1) for each row and step, [rows, steps], drawn on the CPU: the same on
    every device. seed None: different ones each time."""
    generator = torch.Generator()
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    return torch.rand(rows, steps, generator=generator)


@dataclass(frozen=True)
class Picker:
    """Chooses tokens from logits.

    temperature: divides the logits; 0 is greedy. top_k, top_p: see `truncate`.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0

    def __call__(self, logits: Tensor, u: Tensor | None) -> tuple[Tensor, Tensor]:
        """logits [B, V] and uniform numbers u [B] -> token ids [B] and their log-probabilities
        [B]. At temperature 0 nothing is drawn: u may be None, and the log-probabilities are 0."""
        if self.temperature == 0:
            return logits.argmax(-1), torch.zeros(len(logits), device=logits.device)
        assert u is not None
        logits = logits.float() if self.temperature == 1 else logits.float() / self.temperature
        if self.top_k or self.top_p < 1:
            logits = truncate(logits.log_softmax(-1), self.top_p, self.top_k)
        probs = logits.softmax(-1)
        ids = inverse_cdf(probs, u)
        return ids, probs.gather(1, ids[:, None]).squeeze(1).log()


def truncate(logprobs: Tensor, top_p: float, top_k: int) -> Tensor:
    """Keep the top k tokens and, of those, the smallest set that holds top_p; renormalise. [B, V]
    -> [B, V].

    >>> truncate(torch.tensor([[0.5, 0.3, 0.2]]).log(), top_p=0.7, top_k=0).exp()
    tensor([[0.6250, 0.3750, 0.0000]])
    """
    ordered, order = logprobs.sort(dim=-1, descending=True)
    keep = torch.ones_like(ordered, dtype=torch.bool)
    if top_k:
        keep[:, top_k:] = False
    if top_p < 1:
        before = ordered.exp().cumsum(-1) - ordered.exp()  # probability of all likelier tokens
        keep &= before < top_p
    keep = torch.zeros_like(keep).scatter(1, order, keep)
    return torch.log_softmax(logprobs.masked_fill(~keep, float("-inf")), dim=-1)


def inverse_cdf(probs: Tensor, u: Tensor) -> Tensor:
    """Sample one id per row: the first whose cumulative probability exceeds u. probs [B, V], u [B]
    -> [B].

    >>> inverse_cdf(torch.tensor([[0.5, 0.25, 0.25]] * 3), torch.tensor([0.49, 0.5, 0.8])).tolist()
    [0, 1, 2]
    """
    cdf = probs.cumsum(-1)
    # Scaling u by the total keeps rounding in the sum from ever picking an id of probability 0 at
    # the end.
    return (
        torch.searchsorted(cdf, (u[:, None] * cdf[:, -1:]).contiguous(), right=True)
        .squeeze(1)
        .clamp_(max=probs.shape[1] - 1)
    )

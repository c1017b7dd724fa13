"""What the student minimises, and the three ways to set it."""

from __future__ import annotations

import torch
from torch import Tensor

from minilrm import machine, objectives
from minilrm.model import Transformer

# A way is a row of three numbers (see the head of this file); any of them can be set by hand.
WAYS = {
    "traces": {"lmbda": 0.0, "beta": 0.0, "hard_weight": 1.0},
    "logits": {"lmbda": 0.0, "beta": 0.0, "hard_weight": 0.0},
    "on-policy": {"lmbda": 0.5, "beta": 0.5, "hard_weight": 0.0},
}


def loss_of(
    student: Transformer,
    teacher: Transformer,
    ids: Tensor,
    mask: Tensor,
    *,
    hard: float,
    beta: float,
    temperature: float,
    denominator: float,
) -> Tensor:
    """hard * cross-entropy + (1 - hard) * tau^2 * JSD_beta over the mask tokens of ids [B, T], a
    scalar.

    denominator: the mask tokens of the whole optimizer batch, so that micro-batches add up. The
    teacher is asked here and now, about these tokens alone: its logits (tokens x vocabulary) for a
    whole pool would fill any memory.
    """
    device = student.norm.weight.device
    # the logits at t speak of the token at t + 1
    ids, mask = (ids.to(device), mask[:, 1:].to(device))
    with machine.autocast(device):
        states = student.hidden(ids[:, :-1])[mask]
        with torch.no_grad():
            # Where nothing is asked of the teacher, any states will do.
            goals = teacher.hidden(ids[:, :-1])[mask] if hard < 1 else states.detach()

    def part(states: Tensor, goals: Tensor, targets: Tensor) -> Tensor:
        """The loss of some of the tokens, from their hidden states."""
        every = torch.ones(len(targets), dtype=torch.bool, device=device)
        with machine.autocast(device):
            logits = student.lm_head(states)
            with torch.no_grad():
                goal = teacher.lm_head(goals) if hard < 1 else None
        loss = logits.new_zeros((), dtype=torch.float32)
        if hard > 0:
            loss = loss + hard * objectives.cross_entropy(logits, targets, every, denominator)
        if goal is not None:
            soft = objectives.generalized_jsd(logits, goal, beta, every, temperature, denominator)
            loss = loss + (1 - hard) * temperature**2 * soft
        return loss

    targets, vocabulary = ids[:, 1:][mask], student.config.vocab_size
    if vocabulary < objectives.LARGE_VOCABULARY:
        return part(states, goals, targets)
    # The divergence has half a dozen tensors of the size of the logits, the loss one or two.
    parts = objectives.by_rows(part, 4 * vocabulary, states, goals, targets)
    return torch.stack(parts).sum()

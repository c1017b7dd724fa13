"""What the training loops share: optimizers, learning rates, and the guard
against NaN."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from minilrm import devices
from minilrm.errors import UserError


def pretraining_optimizers(
    model: nn.Module, muon_lr: float, adam_lr: float, weight_decay: float = 0.0
) -> dict[str, torch.optim.Optimizer]:
    """Muon for the matrices of the blocks, AdamW for embeddings and norms.

    Muon (Jordan 2024) makes every direction of a matrix's update equally long; with it a small base
    learns in minutes what AdamW alone needs many times the tokens for.
    """
    matrices = [
        p
        for name, p in model.named_parameters()
        if p.dim() == 2 and "embed" not in name and "lm_head" not in name
    ]
    chosen = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in chosen]
    optimizers = {
        "muon": Muon(matrices, lr=muon_lr, weight_decay=weight_decay),
        "adamw": torch.optim.AdamW(
            others, lr=adam_lr, betas=(0.9, 0.95), weight_decay=0.0, fused=True
        ),
    }
    return remember_lr(optimizers)


class Muon(torch.optim.Muon):
    """PyTorch's Muon, which orthogonalises all matrices of one shape in the same products.

    A small transformer has dozens of small matrices, and PyTorch 2.13 takes one after the other:
    630 products a step for six layers. Stacked they are 45, which takes half of the time; the
    numbers and the saved states are the same.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float, nesterov=True
    ):
        """Keller Jordan's own rates, so not with `adjust_lr_fn`."""
        super().__init__(parameters, lr=lr, weight_decay=weight_decay, nesterov=nesterov)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            lr, decay, momentum = group["lr"], group["weight_decay"], group["momentum"]
            trained = [p for p in group["params"] if p.grad is not None]
            updates = []
            for p in trained:
                if not self.state[p]:
                    self.state[p]["momentum_buffer"] = torch.zeros_like(p.grad)
                average = self.state[p]["momentum_buffer"].lerp_(p.grad, 1 - momentum)
                updates.append(p.grad.lerp(average, momentum) if group["nesterov"] else average)
            how = group["ns_coefficients"], group["ns_steps"], group["eps"]
            for p, update in zip(trained, orthogonal(updates, *how), strict=True):
                rows, columns = p.shape
                p.mul_(1 - lr * decay)
                p.add_(update, alpha=-lr * max(1, rows / columns) ** 0.5)


def orthogonal(
    matrices: list[Tensor], coefficients: tuple[float, float, float], steps: int, eps: float
) -> list[Tensor]:
    """For each matrix about the nearest one whose singular values are all 1, by Newton and Schulz's
    iteration X <- a X + (b A + c A^2) X with A = X X^T, in bfloat16 (Jordan 2024).

    >>> coefficients = (3.4445, -4.775, 2.0315)
    >>> [near] = orthogonal([torch.diag(torch.tensor([3.0, 0.2]))], coefficients, 5, 1e-7)
    >>> 0.6 < float(near[0, 0]) < 1.3 and 0.6 < float(near[1, 1]) < 1.3
    True
    """
    a, b, c = coefficients
    by_shape: dict[tuple[int, int], list[int]] = {}
    for i, matrix in enumerate(matrices):
        by_shape.setdefault((min(matrix.shape), max(matrix.shape)), []).append(i)
    found = list(matrices)
    for places in by_shape.values():
        x = torch.stack([wide(matrices[i]) for i in places]).bfloat16()
        x /= x.norm(dim=(1, 2), keepdim=True).clamp(min=eps)  # so that no singular value is above 1
        for _ in range(steps):
            gram = x @ x.mT
            x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
        for i, each in zip(places, x, strict=True):
            found[i] = each if each.shape == matrices[i].shape else each.T
    return found


def wide(matrix: Tensor) -> Tensor:
    """The matrix, on its side if it has more rows than columns."""
    return matrix.T if matrix.shape[0] > matrix.shape[1] else matrix


def adamw(
    model: nn.Module, lr: float, weight_decay: float = 0.0, betas=(0.9, 0.95)
) -> dict[str, torch.optim.Optimizer]:
    """AdamW for everything: what fine-tuning and reinforcement learning use. For weights in
    bfloat16 its states are in float32."""
    parameters = list(model.parameters())
    low = any(p.dtype == torch.bfloat16 for p in parameters)
    kind = AdamWInFloat32 if low else torch.optim.AdamW
    return remember_lr(
        {"adamw": kind(parameters, lr=lr, betas=betas, weight_decay=weight_decay, fused=True)}
    )


class AdamWInFloat32(torch.optim.AdamW):
    """AdamW for weights in bfloat16: its moments are float32, and so is a copy of the weights.

    A weight in bfloat16 has 8 bits of mantissa, so an update of less than 1/256 of it would be
    rounded away, and those of fine-tuning are a thousandth of that. The copy adds them up
    (arXiv 1710.03740); the weights are what it rounds to. It is saved with the other states, as
    `weight`, so that a resumed run goes on bit for bit.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], **options: Any):
        self.weights = list(parameters)
        copies = [p.detach().to(torch.float32, copy=True) for p in self.weights]
        super().__init__([p.requires_grad_() for p in copies], **options)

    @property
    def copies(self) -> list[Tensor]:
        """The float32 copies, in the order of the weights."""
        return [p for group in self.param_groups for p in group["params"]]

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update the copies by the gradients of the weights, and the weights by the copies."""
        for weight, full in zip(self.weights, self.copies, strict=True):
            full.grad = None if weight.grad is None else weight.grad.float()
        super().step()
        for weight, full in zip(self.weights, self.copies, strict=True):
            weight.copy_(full)
            full.grad = None

    def zero_grad(self, set_to_none: bool = True) -> None:
        for weight in self.weights:
            weight.grad = None

    def state_dict(self) -> dict[str, Any]:
        """As AdamW's, with the copies as one state more."""
        out = super().state_dict()
        state = {i: dict(out["state"].get(i, {})) for i in range(len(self.copies))}
        for i, full in enumerate(self.copies):
            state[i]["weight"] = full.detach()
        return out | {"state": state}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """`state_dict` backwards. KeyError for the states of an optimizer without copies."""
        state = {i: dict(entry) for i, entry in state_dict["state"].items()}
        saved = [state[i].pop("weight") for i in range(len(self.copies))]
        some = {i: entry for i, entry in state.items() if entry}
        super().load_state_dict(state_dict | {"state": some})
        with torch.no_grad():
            for full, weight in zip(self.copies, saved, strict=True):
                full.copy_(weight)


def remember_lr(optimizers: dict) -> dict:
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
    return optimizers


def set_lr(optimizers: dict, factor: float) -> None:
    """Set every learning rate to `factor` times what it was made with."""
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor


def lr_factor(step: int, total: int, warmup: int, final: float = 0.0) -> float:
    """Linear warm-up, then linear decay to `final`; step counts from 0.

    >>> [round(lr_factor(s, total=10, warmup=2), 3) for s in (0, 1, 2, 6, 9)]
    [0.5, 1.0, 1.0, 0.5, 0.125]
    """
    if step < warmup:
        return (step + 1) / warmup
    return final + (1 - final) * (total - step) / max(1, total - warmup)


def falling(step: int, warmup: int, hold: int) -> float:
    """Linear warm-up, constant up to step `hold`, then hold / step: whatever the length of the run.
    hold 0: never falls.

    Sum 1/t diverges and sum 1/t^2 does not, so that the policy can still go any way while the noise
    of its samples averages out (Robbins and Monro 1951). Step counts from 0.

    >>> [round(falling(s, warmup=2, hold=5), 3) for s in (0, 1, 4, 9, 99)]
    [0.5, 1.0, 1.0, 0.5, 0.05]
    """
    return min(1.0, (step + 1) / warmup if warmup else 1.0, hold / (step + 1) if hold else 1.0)


def add_gradients(parameters: Iterable[nn.Parameter], gradients: Iterable[Tensor | None]) -> None:
    """Add a micro-batch's gradients to what the parameters have (None: it has no use for this one);
    in a fixed order the sum is the same bit for bit."""
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if gradient is None:
            continue
        if parameter.grad is None:
            parameter.grad = gradient
        else:
            parameter.grad += gradient


LARGEST_WEIGHT = 1e6  # that of a trained model is below 100


def refuse_broken(model: nn.Module) -> None:
    """UserError if a step has made a weight absurdly large, infinite or NaN.

    Such a model may give finite losses for ever: where the squares in its norms overflow, they make
    every logit 0. So neither the loss nor the gradient tells; and checkpoints of it would push out
    those that are worth something.
    """
    ends = [end for p in model.parameters() for end in torch.aminmax(p.detach())]
    largest = float(torch.stack(ends).abs().max())
    if not largest <= LARGEST_WEIGHT:
        raise UserError(
            f"the training has broken down: after this step a weight is {largest:.0e}. Nothing was "
            "saved of it; the checkpoints before it are kept. Try a much lower learning rate"
        )


class Guard:
    """Takes optimizer steps, but never a poisoned one: a NaN or inf skips the step; ten in a row
    stop the run. This is the one place where the gradients of several devices are added up."""

    def __init__(self, clip: float, limit: int = 10):
        self.clip, self.limit = clip, limit
        self.in_a_row = 0

    def step(
        self, model: nn.Module, optimizers: dict[str, torch.optim.Optimizer], loss: float
    ) -> float:
        """Clip the gradient's norm, step, and clear the gradients. Returns the norm before clipping
        (NaN if skipped)."""
        devices.sum_gradients(model.parameters())
        norm = float(nn.utils.clip_grad_norm_(model.parameters(), self.clip))
        healthy = math.isfinite(norm) and math.isfinite(loss)
        if healthy:
            for optimizer in optimizers.values():
                optimizer.step()
            refuse_broken(model)
        for optimizer in optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        self.in_a_row = 0 if healthy else self.in_a_row + 1
        if self.in_a_row >= self.limit:
            raise UserError(
                f"{self.limit} steps in a row had a loss or gradient that is not a number; the "
                "last healthy checkpoint is kept. Try a lower learning rate"
            )
        return norm if healthy else math.nan

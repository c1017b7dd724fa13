"""How good a model is, how sure that is, and which simpler things would explain it away.

`quick` is what training loops call between steps; `evaluate` is for final figures.
"""

import time
from collections.abc import Sequence

import torch

from minilrm.errors import UserError
from minilrm.intervals import (  # noqa: F401  (training loops find them here)
    majority,
    majority_at_k,
    mean,
    paired_bootstrap,
    pass_at_k,
    wilson_interval,
)
from minilrm.model import Transformer
from minilrm.rollout import Episode, fitting, rollout
from minilrm.tasks.base import Problem, Task
from minilrm.tokenizer import Tokenizer


def quick(model: Transformer, tokenizer: Tokenizer, task: Task, problems: Sequence[Problem], *, seed: int,
          max_new_tokens: int, temperature: float = 1.0, style: str = "plain", samples: int = 1,
          dtype: torch.dtype | None = None) -> tuple[dict, list[Episode]]:
    """Answer the problems once (or `samples` times) each: (figures, episodes).

    Prompts too long for the context are left out; `n` counts the problems that were asked. `dtype` is the precision to
    decode in (None: the model's own).
    """
    started = time.perf_counter()
    groups = answer(model, tokenizer, task, problems, seed=seed, max_new_tokens=max_new_tokens, temperature=temperature,
                    style=style, samples=samples, dtype=dtype)
    figures = score(groups)
    return {**figures, "seconds": time.perf_counter() - started}, [e for group in groups for e in group]


def answer(model: Transformer, tokenizer: Tokenizer, task: Task, problems: Sequence[Problem], *, seed: int,
           max_new_tokens: int, temperature: float, style: str = "plain", samples: int = 1,
           dtype: torch.dtype | None = None) -> list[list[Episode]]:
    """`samples` graded episodes for each problem whose prompt fits."""
    room = model.config.max_seq_len - max_new_tokens
    asked = fitting(task, tokenizer, problems, room, style)
    if not asked:
        raise UserError(f"no problem leaves room for {max_new_tokens} new tokens in a context of "
                        f"{model.config.max_seq_len}: none was asked")
    return rollout(model, tokenizer, task, asked, group_size=samples, max_new_tokens=max_new_tokens,
                   temperature=temperature, seed=seed, style=style, dtype=dtype)


def score(groups: Sequence[Sequence[Episode]]) -> dict:
    """The figures of one run over the problems. Rates of nothing are NaN, which JSON writes as null.

    accuracy_ci counts problems, not samples: two samples of one problem are not independent, and an interval that took
    them as such would be too narrow.
    """
    episodes = [e for group in groups for e in group]
    thinking = [e.grade.correct for e in episodes if e.thinks]
    reflex = [e.grade.correct for e in episodes if not e.thinks]
    accuracy = mean([e.grade.correct for e in episodes])
    return {
        "accuracy": accuracy,
        "accuracy_ci": list(wilson_interval(accuracy * len(groups), len(groups))),
        "formatted": mean([e.grade.formatted and e.finish_reason == "eos" for e in episodes]),
        "think_rate": mean([e.thinks for e in episodes]),
        "accuracy_thinking": mean(thinking),
        "accuracy_reflex": mean(reflex),
        "mean_length": mean([e.length for e in episodes]),
        "clipped_ratio": mean([e.finish_reason == "length" for e in episodes]),
        "n": len(groups),
        "tokens": sum(e.length for e in episodes),
    }

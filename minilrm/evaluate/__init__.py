"""How good a model is, how sure that is, and which simpler things would explain it away.

This is for final figures; what training measures between steps is measure.py.

    python -m minilrm.evaluate --checkpoint gsm8k-mini-base --split test --n 1000 --out base.json

It answers every problem `samples` times at one temperature, and then again in the ways that could
explain a gain away: greedily, at lower temperatures, with thinking forced by the prompt, and in
other words. Two rules keep it honest. A figure with an interval uses the *first* sample of each
problem, so that it stands on n independent problems; all samples together serve pass@k, votes and
`accuracy_all_samples`. And every rate carries the number of its cases.

What it leaves out: comparing two models. Their `outcomes` (a 0 or 1 a problem) are kept for
`paired_bootstrap`.
"""

from minilrm.evaluate.command import choose_task, main, table
from minilrm.evaluate.figures import (
    REWORDED,
    REWORDINGS,
    TEMPERATURES,
    Options,
    evaluate,
    fingerprint,
    outcome,
)

__all__ = [
    "REWORDED",
    "REWORDINGS",
    "TEMPERATURES",
    "Options",
    "choose_task",
    "evaluate",
    "fingerprint",
    "main",
    "outcome",
    "table",
]

"""Puzzles, cash, programs and word problems: the kinds of reasoning that share one shipped base."""

from minilrm.tasks.mixture import Mixture


class Reasoning(Mixture):
    """Four kinds of problems, as many of each."""

    name = "reasoning"
    base = "reasoning-base"
    # What the figures were made with; the default rate is as good (LOG.md).
    recipe = {"steps": 80, "lr": 5e-4, "lr_hold": 40}
    parts = {"logic": 1, "ledger": 1, "program": 1, "gsm8k-mini": 1}

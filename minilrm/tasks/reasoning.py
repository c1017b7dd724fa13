"""Puzzles, cash, programs and word problems: the kinds of reasoning that share one shipped base."""

from minilrm.tasks.mixture import Mixture


class Reasoning(Mixture):
    """Four kinds of problems, as many of each."""

    name = "reasoning"
    base = "reasoning-base"
    # Its base knows little of each kind: a bold rate is needed to get anywhere (LOG.md).
    recipe = {"steps": 80, "lr": 5e-4, "lr_hold": 40}
    parts = {"logic": 1, "ledger": 1, "program": 1, "gsm8k-mini": 1}

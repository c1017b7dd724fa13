"""Puzzles, cash, programs and word problems: the kinds of reasoning that share one shipped base."""

from minilrm.tasks.mixture import Mixture


class Reasoning(Mixture):
    """Four kinds of problems, as many of each."""

    name = "reasoning"
    base = "reasoning-base"
    parts = {"logic": 1, "ledger": 1, "program": 1, "gsm8k-mini": 1}

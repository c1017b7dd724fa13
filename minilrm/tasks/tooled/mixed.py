"""tools: long-sums, prices and loops in one, so that one base serves all three.

python -m minilrm.grpo --task prices --tools database,calculator
"""

from minilrm.tasks.base import TOOL_STYLE
from minilrm.tasks.mixture import Mixture


class Tools(Mixture):
    """Problems of the three tasks that need a tool, as many of each."""

    name = "tools"
    parts = {"long-sums": 1, "prices": 1, "loops": 1}
    tools = ("calculator", "database", "code")
    styles = (*Mixture.styles, TOOL_STYLE)
    base = "tools-base"
    special_tokens = True
    recipe = {"reward": {"accuracy": 1.0}}

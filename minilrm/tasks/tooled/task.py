r"""What the tasks that need a tool share.

A solution in the style "tool" holds calls with their results, as a model would see them:

    <tool:calculator>4837*296</tool><result>1431752</result>
    #### 1431752

Who writes such a solution also runs the tool, so the results are right. The calls come in several
orders and places, and some are not needed: a policy that has seen one fixed way samples the same
answer eight times, and then reinforcement learning has nothing to compare. The other styles use no
tool.
"""

import random
from collections.abc import Mapping
from typing import Any, ClassVar

from minilrm.tasks.answers import MARK
from minilrm.tasks.base import SOLUTION_STYLES, SPLITS, TOOL_STYLE, Problem, Task

CALL = "<tool:"  # what every call begins with


def call(tool: str, argument: str, result: str) -> str:
    """A call with its result, as the hook of the sampler leaves it.

    >>> call("calculator", "12*7", "84")
    '<tool:calculator>12*7</tool><result>84</result>'
    """
    return f"{CALL}{tool}>{argument}</tool><result>{result}</result>"


def worked(lines: list[str], answer: str) -> str:
    r"""Lines of working, and the answer behind `####`; without lines the answer comes at once.

    >>> worked(["<<3*4=12>>12"], "12"), worked([], "12")
    ('\n<<3*4=12>>12\n#### 12', ' #### 12')
    """
    if not lines:
        return f" {MARK} {answer}"
    return "\n" + "\n".join([*lines, f"{MARK} {answer}"])


def wrong_number(right: str, rng: random.Random) -> str:
    """A number near the right one, for a careless solution: one of its digits is another one."""
    place = rng.choice([i for i, c in enumerate(right) if c.isdigit()])
    digits = [d for d in "123456789" if d != right[place]]
    return right[:place] + rng.choice(digits) + right[place + 1 :]


class ToolTask(Task):
    """A task whose hard problems need a tool, and whose easy ones do not."""

    base = "tools-base"
    special_tokens = True
    styles = (*SOLUTION_STYLES, TOOL_STYLE)
    # Enough calls to learn how, and so few that a policy still has to learn when.
    pages: ClassVar[Mapping[str, float]] = {
        "reflex": 0.30,
        "careless": 0.05,
        "steps": 0.25,
        TOOL_STYLE: 0.40,
    }
    recipe: ClassVar[Mapping[str, Any]] = {"reward": {"accuracy": 1.0}}
    repeats = True  # there are few easy problems
    #: level -> what it is, from what needs no tool to what needs one most
    levels: ClassVar[Mapping[int, str]] = {}

    def check(self, split: str = "train", style: str = "steps") -> None:
        """Refuse a split (UserError) or a style (ValueError) that there is not."""
        if split not in SPLITS:
            raise self.no_split(split)
        if style not in self.styles:
            raise ValueError(f"no solution style is called {style!r}")

    def thinks(self, completion: str) -> bool:
        """Whether a sum or a call stands before the answer."""
        return super().thinks(completion) or CALL in completion.partition(self.mark)[0]

    def level(self, problem: Problem) -> int:
        return int(problem.meta.get("level", 0))  # a user's own question has none

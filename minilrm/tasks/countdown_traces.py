r"""countdown's traces: how an attempt is drawn and written down, and how it is read back.

     25-7=18, 18+4=22 no
    wait, 4*7=28, 28+25=53 ok
    <answer>4*7+25</answer>

An attempt is its steps, comma between, then the writer's verdict (`traces.py` has the grammar).
"""

import random
import re

from minilrm.tasks import expressions, reach
from minilrm.tasks.answers import CLOSE, OPEN
from minilrm.tasks.base import Problem
from minilrm.tasks.expressions import Step, Tree
from minilrm.tasks.traces import (
    ACCEPT,
    AGAIN,
    REFLECTION_WORD,
    REJECT,
    Attempt,
    Trace,
    read_attempts,
)

# Every quantifier is bounded or ends at a character that its class excludes: no text is read twice.
STEP = re.compile(
    r"(0|[1-9][0-9]{0,11})([-+*/])(0|[1-9][0-9]{0,11})=(0|[1-9][0-9]{0,11})(?=[, \n]|\Z)"
)
VERDICT = re.compile(rf" ({ACCEPT}|{REJECT})(?![a-z0-9])")
# AGAIN, and what comes near it
LEAD = re.compile(rf"[ ,\n]{{0,2}}({REFLECTION_WORD})?[ ,:]{{0,2}}")
ANSWER = re.compile(rf"\n{OPEN}([^<>\n]*){CLOSE}")


# -- writing ---------------------------------------------------------------------------------------


def wrong_attempt(problem: Problem, rng: random.Random, tried: set[str]) -> Tree | None:
    """A wrong attempt that is not among those tried; None if none turns up: two numbers can be
    combined in five ways at most."""
    numbers, target = problem.meta["numbers"], problem.meta["target"]
    for _ in range(200):
        tree = reach.random_tree(numbers, rng)
        if expressions.value(tree) != target and content(tree) not in tried:
            return tree
    return None


def right_attempt(problem: Problem, rng: random.Random) -> Tree:
    """A right attempt, each way as likely as any other."""
    numbers, target = problem.meta["numbers"], problem.meta["target"]
    return reach.shuffled(rng.choice(reach.trees(tuple(sorted(numbers)), target)), rng)


def content(tree: Tree) -> str:
    return expressions.normal_form(expressions.steps(tree))


def transcript(attempts: list[tuple[Tree, bool]]) -> str:
    r"""The attempts, each with the writer's verdict, and the last one's expression as the answer.

    >>> transcript([(("-", 25, ("+", 4, 7)), False), (("+", ("*", 4, 7), 25), True)])
    ' 4+7=11, 25-11=14 no\nwait, 4*7=28, 28+25=53 ok\n<answer>4*7+25</answer>'
    """
    lines = [
        ", ".join(map(str, expressions.steps(tree))) + f" {ACCEPT if accepted else REJECT}"
        for tree, accepted in attempts
    ]
    return " " + AGAIN.join(lines) + answer_line(attempts[-1][0])


def answer_line(tree: Tree) -> str:
    return f"\n{OPEN}{expressions.write(tree)}{CLOSE}"


# -- reading ---------------------------------------------------------------------------------------


def parse_trace(text: str) -> Trace:
    r"""The attempts of a completion (`traces.read_attempts`).

    >>> trace = parse_trace(" 25-7=18, 18+4=22 no\nwait, 7*4=28, 28+2")
    >>> [(a.content, a.accepted) for a in trace.attempts], trace.reflections, trace.well_formed
    ([('25-7=18, 18+4=22', False), ('7*4=28', None)], 1, False)
    """
    return read_attempts(text, LEAD, read_attempt, is_answer)


def read_attempt(text: str, start: int) -> Attempt | None:
    """The attempt that starts there; None if not even its first step can be read.

    A step counts once something stands behind it: before that, its result may be cut short.
    """
    series, at = [], start
    while (match := STEP.match(text, at)) and match.end() < len(text):
        series.append(Step(int(match[1]), match[2], int(match[3]), int(match[4])))
        at = match.end()
        if not text.startswith(", ", at):
            break
        at += 2
    if not series:
        return None
    verdict = VERDICT.match(text, at)
    return Attempt(
        start,
        verdict.end() if verdict else at,
        expressions.normal_form(series),
        verdict[1] == ACCEPT if verdict else None,
    )


def is_answer(text: str, start: int) -> bool:
    """Whether the rest of a text is an answer line with an expression."""
    answer = ANSWER.fullmatch(text, start)
    return answer is not None and expressions.parse(answer[1]) is not None


def read_step(text: str) -> Step | None:
    """`read_step("4*7=28")` is `Step(4, "*", 7, 28)`."""
    return (match := STEP.fullmatch(text)) and Step(
        int(match[1]), match[2], int(match[3]), int(match[4])
    )

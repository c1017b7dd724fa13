"""What goes wrong? The first wrong step of each wrong answer, and which relations its story has.

An accuracy says how often a model fails, not at what. Here the question is put to the solutions
themselves: the first sum that the right chain does not have is named by what is wrong with it.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from minilrm.rollout import Episode
from minilrm.tasks import Problem
from minilrm.tasks.answers import equations
from minilrm.tasks.gsm8k_mini import in_order, right_chain

#: what can be wrong with a step, by name
KINDS = {
    "operation": "the right numbers with another operation: the direction of a comparison, mostly",
    "number": "the right operation with another number",
    "step": "a step that is not asked for here",
    "sum": "the right step with a wrong result",
    "missing": "a step left out",
    "answer": "all steps right, and another answer",
}


def first_error(problem: Problem, completion: str) -> str:
    """What is wrong with the first wrong step of a wrong answer: a name of KINDS.

    The steps may stand in any order; a wrong one is compared with the first that is still missing.
    """
    left = right_chain(problem)
    for expression, result in equations(completion):
        found = [s for s in left if in_order(*s) == in_order(expression, result)]
        if found:
            left.remove(found[0])
        elif left:
            return difference(expression, result, *left[0])
    return "missing" if left else "answer"


def difference(expression: str, result: str, wanted: str, value: str) -> str:
    """How a wrong sum differs from the one that is wanted.

    >>> difference("29-9", "20", "29+9", "38"), difference("29+8", "37", "29+9", "38")
    ('operation', 'number')
    >>> difference("9+29", "39", "29+9", "38"), difference("4*5", "20", "29+9", "38")
    ('sum', 'step')
    """
    if in_order(expression, "") == in_order(wanted, ""):
        return "sum"
    numbers, signs = (sorted(re.findall(p, expression)) for p in (r"\d+", r"\D"))
    numbers_wanted, signs_wanted = (sorted(re.findall(p, wanted)) for p in (r"\d+", r"\D"))
    if numbers == numbers_wanted:
        return "operation"
    return "number" if signs == signs_wanted and set(numbers) & set(numbers_wanted) else "step"


def analyse(groups: Sequence[Sequence[Episode]]) -> dict[str, Any]:
    """Of answers to stories: how many are right, by relation in the story and by number of steps;
    and the first error of each wrong one.

    Returns {"n", "right", "by": name -> [right, all], "errors": name of KINDS -> how many}.
    """
    by: dict[str, list[int]] = {}
    errors: Counter[str] = Counter()
    episodes = [e for group in groups for e in group]
    for e in episodes:
        names = {*re.findall(r"[a-z_]+3?", e.problem.key), f"{e.problem.difficulty} steps"}
        for name in sorted(names):
            cell = by.setdefault(name, [0, 0])
            cell[0] += e.grade.correct
            cell[1] += 1
        if not e.grade.correct:
            errors[first_error(e.problem, e.text)] += 1
    right = sum(e.grade.correct for e in episodes)
    return {
        "n": len(episodes),
        "right": right,
        "by": dict(sorted(by.items())),
        "errors": {kind: errors[kind] for kind in KINDS},
    }

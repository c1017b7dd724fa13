"""Solutions of ledgers: the right chain of sums and careless ones, in words; and which lines of any
solution are right.

A chain is a list of (expression with its numbers written in, result), as in `gsm8k_mini`.
"""

import random
import re

from minilrm.tasks.base import Problem
from minilrm.tasks.gsm8k_mini import chain_labels, check_last, right_chain, slip
from minilrm.tasks.logic.words import listed

Chain = list[tuple[str, str]]

PLANS = {
    "holds": "Plan: follow the money to and from the firm.",
    "fees": "Plan: find each fee and add them up.",
    "where": "Plan: find what each firm has in the end.",
    "wrong": "Plan: check one entry after the other.",
}
NUMBERED = re.compile(r"^[0-9]{1,2}\. ")
ENTRY = re.compile(r"Entry ([0-9]{1,2}): [^.]*(, ok|, not [0-9]+)\.")


def answer_of(problem: Problem, chain: Chain) -> str | None:
    """What a chain leads to; None if it leads to nothing: two firms hold the most, or all entries
    add up."""
    kind = problem.meta["kind"]
    if kind == "where":
        held = held_in(problem, chain)
        most = max(held.values())
        richest = [firm for firm, cash in held.items() if cash == most]
        return richest[0] if len(richest) == 1 else None
    if kind == "wrong":
        stated = problem.meta["stated"]
        for (entry, last), (_, result) in zip(problem.meta["belongs"], chain, strict=False):
            if last and int(result) != stated[entry]:
                return str(entry + 1)
        return None
    return chain[-1][1]


def held_in(problem: Problem, chain: Chain) -> dict[str, int]:
    """What each firm holds in the end, by a chain."""
    values = dict(problem.meta["numbers"])
    values |= {f"s{i}": int(result) for i, (_, result) in enumerate(chain, 1)}
    firms, holders = problem.meta["firms"], problem.meta["holders"]
    return {firm: values[name] if name else 0 for firm, name in zip(firms, holders, strict=True)}


def write(problem: Problem, chain: Chain, answer: str, planned: bool = False) -> str:
    """A chain in words, with its `#### answer` line."""
    lines = chain_lines(problem, chain)
    if planned:
        lines = [f"{i}. {line}" for i, line in enumerate(lines, 1)]
        lines.insert(0, PLANS[problem.meta["kind"]])
        lines.append(f"Check: {check_last(*chain[-1])}, ok.")
    return "\n" + "\n".join(lines) + f"\n#### {answer}"


def chain_lines(problem: Problem, chain: Chain) -> list[str]:
    """A line for each sum; where it is asked which firm holds the most, one more that compares."""
    sums = [
        sentence.replace("{calc}", f"<<{expression}={result}>>{result}")
        for sentence, (expression, result) in zip(problem.meta["sentences"], chain, strict=False)
    ]
    if problem.meta["kind"] == "wrong":
        belongs = problem.meta["belongs"]
        return [
            line + verdict(problem, entry, int(result), last)
            for line, (entry, last), (_, result) in zip(sums, belongs, chain, strict=False)
        ]
    return [*sums, compared(problem, chain)] if problem.meta["kind"] == "where" else sums


def verdict(problem: Problem, entry: int, result: int, last: bool = True) -> str:
    """How the line of an entry ends: with what the entry states."""
    stated = problem.meta["stated"][entry]
    if not last:
        return "."
    return ", ok." if result == stated else f", not {stated}."


def compared(problem: Problem, chain: Chain) -> str:
    """`"In the end Alba has 380 and Brix 115."`"""
    (first, cash), *others = held_in(problem, chain).items()
    return f"In the end {listed([f'{first} has {cash}', *(f'{f} {c}' for f, c in others)])}."


def careless(problem: Problem, rng: random.Random) -> tuple[Chain, str]:
    """A chain with a slip, and the wrong answer that it leads to."""
    if problem.meta["kind"] == "wrong":
        return careless_check(problem, rng)
    for _ in range(60):
        chain = slip(problem, rng)
        answer = answer_of(problem, chain)
        if answer is not None and answer != problem.answer:
            return chain, answer
    # The one who holds the most is so far ahead that no slip changes it: a wrong look.
    others = [firm for firm in problem.meta["firms"] if firm != problem.answer]
    return right_chain(problem), rng.choice(others)


def careless_check(problem: Problem, rng: random.Random) -> tuple[Chain, str]:
    """A right entry is reckoned to be wrong; if the first is wrong, it is taken for right, and
    another is blamed."""
    chain, belongs, stated = right_chain(problem), problem.meta["belongs"], problem.meta["stated"]
    wrong = int(problem.answer) - 1
    at = rng.choice(
        [i for i, (entry, last) in enumerate(belongs) if last and entry < wrong] or [-1]
    )
    expression, result = chain[at]
    if at == -1:
        other = rng.choice([i for i in range(len(stated)) if i != wrong])
        return [*chain[:-1], (expression, str(stated[wrong]))], str(other + 1)
    off = int(result) + rng.choice((-10, -2, -1, 1, 2, 10))
    off = off if off > 0 else int(result) + 1
    return [*chain[:at], (expression, str(off))], str(belongs[at][0] + 1)


def labels(problem: Problem, completion: str) -> list[bool]:
    """For each line: are its sums, what it says of an entry, its comparison and its answer right,
    and all before it?"""
    right = right_chain(problem)
    found, alive = [], True
    for line, sums_right in zip(
        completion.splitlines(), chain_labels(problem, completion), strict=True
    ):
        text = NUMBERED.sub("", line.strip())
        alive = alive and sums_right
        if said := ENTRY.match(text):
            alive = alive and said[2] + "." == right_verdict(problem, int(said[1]) - 1, right)
        if text.startswith("In the end"):
            alive = alive and problem.meta["kind"] == "where" and text == compared(problem, right)
        found.append(alive)
    return found


def right_verdict(problem: Problem, entry: int, right: Chain) -> str:
    """What is to be said of an entry up to the wrong one; nothing of others."""
    for (which, last), (_, result) in zip(problem.meta.get("belongs", ()), right, strict=False):
        if last and which == entry:
            return verdict(problem, entry, int(result))
    return ""

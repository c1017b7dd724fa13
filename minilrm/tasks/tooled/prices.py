r"""prices: what things cost and how high mountains are, as a table says that the question does not
show.

    Question: A cup costs 233 today. What do a lamp and a cup cost together?
    Answer:
    <tool:database>SELECT price FROM goods WHERE name='lamp'</tool><result>price
    417</result>
    <<417+233=650>>650
    #### 650

The tables of training, validation and test have the same names with other values (`facts.py`), so
only looking up helps. What the question tells counts before what the table says: there a call is of
no use. The level is the number of values that have to be looked up.
"""

import random
import re
from pathlib import Path
from typing import Any

from minilrm.tasks.base import TOOL_STYLE, Problem
from minilrm.tasks.calculator import number
from minilrm.tasks.tooled import facts
from minilrm.tasks.tooled.long_sums import by_hand
from minilrm.tasks.tooled.task import ToolTask, call, worked, wrong_number

LEVELS = {0: 0.25, 1: 0.45, 2: 0.30}  # shares of the questions
VOWELS = "aeiou"


class Prices(ToolTask):
    """One value, or two that are added (prices) or subtracted (heights). `ood` asks about names
    that no question of training has."""

    name = "prices"
    tools = ("database", "calculator")
    max_new_tokens = 144
    levels = {0: "all told", 1: "one to look up", 2: "two to look up"}

    def sample(self, rng: random.Random, split: str = "train") -> Problem:
        self.check(split)
        table = rng.choice(facts.TABLES[split])
        kind = rng.choice(tuple(facts.COLUMNS))
        known = facts.read(table)[kind]
        level = rng.choices(list(LEVELS), list(LEVELS.values()))[0]
        count = 2 if level == 2 else rng.choice((1, 2))
        names = rng.sample(facts.unseen(kind) if split == "ood" else facts.seen(kind), count)
        told = {}
        for name in rng.sample(names, count - level):
            told[name] = rng.choice(facts.COLUMNS[kind][2])
        return self.pose(table, kind, {name: told.get(name, known[name]) for name in names}, told)

    def pose(self, table: str, kind: str, values: dict[str, int], told: dict[str, int]) -> Problem:
        """The question of these values, of which some are `told`."""
        if kind == "peaks":  # the higher one comes first
            values = dict(sorted(values.items(), key=lambda item: -item[1]))
        steps = steps_of(kind, list(values.values()))
        answer = steps[-1][1] if steps else str(*values.values())
        prompt = " ".join([*(tell(kind, *item) for item in told.items()), ask(kind, list(values))])
        meta: dict[str, Any] = {
            "table": table,
            "kind": kind,
            "values": values,
            "told": sorted(told),
            "level": len(values) - len(told),
        }
        key = f"prices:{table}:{prompt}"
        return Problem(self.name, prompt, answer, key, 1 + len(steps) + meta["level"], meta)

    def database(self, problem: Problem) -> Path | None:
        table = problem.meta.get("table")  # a user's own question has none
        return facts.path_of(table) if table else None

    def solution(self, problem: Problem, rng: random.Random, style: str = "steps") -> str:
        self.check(style=style)
        meta = problem.meta
        values = dict(meta["values"])
        if style == "reflex":
            return worked([], problem.answer)
        if style == "careless":  # from memory, which is wrong
            name = rng.choice(list(values))
            values[name] = int(wrong_number(str(values[name]), rng))
        if style == TOOL_STYLE:
            lines = looked_up(meta, values, rng)
        else:
            lines = [", ".join(f"{name} {value}" for name, value in values.items())]
        steps = steps_of(meta["kind"], list(values.values()))
        answer = steps[-1][1] if steps else str(*values.values())
        if style == TOOL_STYLE and rng.random() < 0.3:
            lines += [call("calculator", *step) for step in steps]
        elif not (style == TOOL_STYLE and "sum(" in lines[0]):
            lines += map(by_hand, steps)
        return worked(lines, answer)

    def made_up(self, problem: Problem, completion: str) -> bool | None:
        """Whether an answer that has to be a fact stands neither in the table nor in the question.
        None where the answer is worked out of facts, or where there is none."""
        meta = problem.meta
        said = self.read_answer(completion)
        if len(meta.get("values", ())) != 1 or said is None:
            return None
        table = facts.read(meta["table"])
        known = {value for kind in table.values() for value in kind.values()}
        known |= set(map(int, re.findall(r"[0-9]+", problem.prompt)))
        return number(said) not in known


def with_article(name: str) -> str:
    return f"{'an' if name[0] in VOWELS else 'a'} {name}"


def tell(kind: str, name: str, value: int) -> str:
    """A sentence that tells a value: `tell("goods", "cup", 233)` is "A cup costs 233 today."."""
    if kind == "peaks":
        return f"{name} is {value} metres high."
    return f"{with_article(name).capitalize()} costs {value} today."


def ask(kind: str, names: list[str]) -> str:
    """The question for one value, or for what two of them come to."""
    if kind == "peaks":
        return (
            f"How high is {names[0]}?"
            if len(names) == 1
            else (f"How much higher is {names[0]} than {names[1]}?")
        )
    things = [with_article(name) for name in names]
    if len(things) == 1:
        return f"What does {things[0]} cost?"
    return f"What do {things[0]} and {things[1]} cost together?"


def steps_of(kind: str, values: list[int]) -> list[tuple[str, str]]:
    """What is left to work out once the values are known.

    >>> steps_of("goods", [417, 233]), steps_of("peaks", [4312])
    ([('417+233', '650')], [])
    """
    if len(values) == 1:
        return []
    a, b = values
    return [(f"{a}-{b}", str(a - b)) if kind == "peaks" else (f"{a}+{b}", str(a + b))]


def looked_up(meta: dict[str, Any], values: dict[str, int], rng: random.Random) -> list[str]:
    """The lines of a solution that ask the database: value by value in either order, both in one
    query, or their sum; and, where all is told, a call that was not needed."""
    kind, table = meta["kind"], facts.read(meta["table"])[meta["kind"]]
    column = facts.COLUMNS[kind][0]
    wanted = [name for name in values if name not in meta["told"]]
    if not wanted:
        wanted = [rng.choice(list(values))]

    def one(name: str) -> str:
        query = f"SELECT {column} FROM {kind} WHERE name='{name}'"
        return call("database", query, f"{column}\n{table[name]}")

    way = rng.choice(("each", "other order", "list", "sum"))
    if len(wanted) == 1 or way == "each" or (way == "sum" and kind == "peaks"):
        return [one(name) for name in wanted]
    if way == "other order":
        return [one(name) for name in reversed(wanted)]
    where = f"FROM {kind} WHERE name IN ('{wanted[0]}', '{wanted[1]}')"
    if way == "sum":
        total = sum(table[name] for name in wanted)
        return [call("database", f"SELECT sum({column}) {where}", f"sum({column})\n{total}")]
    rows = [f"{name} | {value}" for name, value in table.items() if name in wanted]
    lines = "\n".join([f"name | {column}", *rows])
    return [call("database", f"SELECT name, {column} {where}", lines)]

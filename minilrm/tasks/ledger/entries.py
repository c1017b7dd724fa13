"""Entries of a ledger, and the sums that follow the money through them.

An entry moves cash from one firm to another: an amount, all, a part, several payments, all of it to
two firms; some lose a fee on the way. `follow` works out, in symbols, what every firm holds after
all entries: `n0`, `n1`, ... are the numbers of the question and `t0`, `t1`, ... the results of
sums. `needed` keeps the sums that a question needs.
"""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

#: kind -> how many numbers of its own it has (an amount, a fee)
KINDS = {
    "pay": 1, "pay fee": 2, "all": 0, "all fee": 1, "all tenth": 0, "share": 0, "split": 0,
    "times": 1, "times fee": 2,
}  # fmt: skip
WEIGHTS = (3, 2, 1, 1, 1, 1.5, 1, 1, 1)
#: what a number of the question is, for the structure: an opening balance, an amount, a fee
ROLES = {"opening": "o", "amount": "a", "fee": "f"}


@dataclass(frozen=True)
class Entry:
    """kind: of `KINDS`. to: the receiver, or two. by: into how many parts, or how many payments.
    numbers: names of its amount and its fee, in this order."""

    kind: str
    sender: int
    to: tuple[int, ...]
    by: int = 1
    numbers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """A sum. name: of its result. expression: "n0-n1". text: a sentence with `{calc}` and firms as
    `{0}`, `{1}`."""

    name: str
    expression: str
    text: str

    @property
    def operands(self) -> list[str]:
        return re.findall(r"[nt][0-9]+", self.expression)


@dataclass
class Books:
    """What is known while the entries are followed. holds: of each firm the name of its balance,
    None for nothing. fees: names of all fees, in order."""

    holds: list[str | None]
    steps: list[Step] = field(default_factory=list)
    fees: list[str] = field(default_factory=list)

    def add(self, expression: str, text: str) -> str:
        name = f"t{len(self.steps)}"
        self.steps.append(Step(name, expression, text))
        return name

    def give(self, firm: int, amount: str) -> None:
        had = self.holds[firm]
        who = f"{{{firm}}}"
        self.holds[firm] = amount if had is None else self.add(
            f"{had}+{amount}", f"{who} then has {{calc}}."
        )  # fmt: skip

    def take(self, firm: int, amount: str) -> None:
        who = f"{{{firm}}}"
        self.holds[firm] = self.add(f"{self.holds[firm]}-{amount}", f"{who} has {{calc}} left.")

    def less_fee(self, amount: str, fee: str, firm: int) -> str:
        """What arrives of an amount."""
        self.fees.append(fee)
        who = f"{{{firm}}}"
        return self.add(f"{amount}-{fee}", f"{{calc}} arrive at {who}.")

    def add_up(self, fees: Sequence[str]) -> str:
        """All fees together."""
        total = fees[0]
        for i, fee in enumerate(fees[1:], 2):
            so_far = "Fees in all" if i == len(fees) else "Fees so far"
            total = self.add(f"{total}+{fee}", f"{so_far}: {{calc}}.")
        return total

    def post(self, entry: Entry) -> None:
        """Carry out one entry."""
        sender, to = entry.sender, entry.to[0]
        kind, _, loss = entry.kind.partition(" ")
        who, all_of_it = f"{{{sender}}}", self.holds[sender]
        assert all_of_it is not None  # nobody sends what it has not
        if kind == "all":
            self.holds[sender] = None
            fee = entry.numbers[0] if loss == "fee" else ""
            if loss == "tenth":
                fee = self.add(f"{all_of_it}/10", "The bank keeps {calc}.")
            self.give(to, self.less_fee(all_of_it, fee, to) if fee else all_of_it)
        elif kind == "split":
            each = self.add(f"{all_of_it}/{len(entry.to)}", "Each gets {calc}.")
            self.holds[sender] = None
            for firm in entry.to:
                self.give(firm, each)
        else:
            if kind == "share":
                text = f"{who} sends {{calc}}."
                amount = self.add(f"{all_of_it}/{entry.by}", text)
            elif kind == "times":
                text = f"{who} pays {{calc}} in all."
                amount = self.add(f"{entry.by}*{entry.numbers[0]}", text)
            else:
                amount = entry.numbers[0]
            self.take(sender, amount)
            if loss and kind == "times":
                fee = self.add(f"{entry.by}*{entry.numbers[1]}", "The bank keeps {calc}.")
                amount = self.less_fee(amount, fee, to)
            elif loss:
                amount = self.less_fee(amount, entry.numbers[1], to)
            self.give(to, amount)


def follow(openings: Sequence[str | None], entries: Sequence[Entry]) -> Books:
    """All sums, and who holds what in the end.

    >>> books = follow(["n0", None], [Entry("pay fee", 0, (1,), 1, ("n1", "n2"))])
    >>> [step.expression for step in books.steps], books.holds, books.fees
    (['n0-n1', 'n1-n2'], ['t0', 't1'], ['n2'])
    """
    books = Books(list(openings))
    for entry in entries:
        books.post(entry)
    return books


def needed(steps: Sequence[Step], asked: Sequence[str]) -> list[Step]:
    """The sums that some results need, in their order."""
    wanted = set(asked)
    for step in reversed(steps):
        if step.name in wanted:
            wanted |= set(step.operands)
    return [step for step in steps if step.name in wanted]


def term(name: str, steps: Mapping[str, Step], roles: Mapping[str, str]) -> str:
    """A result as a term over the roles of the numbers, the same however its sums are arranged.

    >>> steps = {s.name: s for s in follow(["n0", None], [Entry("share", 0, (1,), 2)]).steps}
    >>> term("t1", steps, {"n0": "o"})
    '(o-(o/2))'
    """
    if name not in steps:
        return roles.get(name, name)
    left, op, right = re.split(r"([-+*/])", steps[name].expression)
    parts = [term(left, steps, roles), term(right, steps, roles)]
    if op in "+*":
        parts.sort()
    return f"({op.join(parts)})"


def draw_entries(
    rng: random.Random, firms: int, count: int
) -> tuple[list[str | None], list[Entry], dict[str, str]]:
    """Opening balances, entries, and the role of each number. Half of the time the next sender is
    who has just received: so money goes through a chain, and comes back in a round trip."""
    names = (f"n{i}" for i in range(99))
    roles: dict[str, str] = {}

    def number(role: str) -> str:
        name = next(names)
        roles[name] = ROLES[role]
        return name

    openings = [number("opening") if i == 0 or rng.random() < 0.5 else None for i in range(firms)]
    has = [opening is not None for opening in openings]
    entries: list[Entry] = []
    named = {0}
    for left in range(count, 0, -1):
        last = entries[-1].to[-1] if entries else 0
        rich = [firm for firm in range(firms) if has[firm]]
        sender = last if rng.random() < 0.5 else rng.choice(rich)
        others = [firm for firm in range(firms) if firm != sender]
        kind = rng.choices(list(KINDS), WEIGHTS)[0]
        if kind == "split" and len(others) < 2:
            kind = "pay"
        new = [firm for firm in others if firm not in named]
        pool = new if len(new) >= left else others  # so that in the end all have taken part
        to = tuple(rng.sample(pool, 1))
        if kind == "split":
            to += (rng.choice([firm for firm in others if firm not in to]),)
        named |= {sender, *to}
        by = {"share": rng.choice((2, 2, 3, 4)), "times": rng.choice((2, 3, 4))}
        own = tuple(number(role) for role in ("amount", "fee")[: KINDS[kind]])
        if kind == "all fee":
            roles[own[0]] = ROLES["fee"]
        entries.append(Entry(kind, sender, to, by.get(kind.split()[0], 1), own))
        for firm in to:
            has[firm] = True
        if kind.startswith("all") or kind == "split":
            has[sender] = False
    return openings, entries, roles


def draw_numbers(
    rng: random.Random, roles: Mapping[str, str], largest: int, divided: bool = False
) -> dict[str, int]:
    """Numbers for all names: fees are small, and all have a common step, so that parts come out
    whole where something is `divided`."""
    top = largest if rng.random() < 0.5 else rng.choice((100, 300, 800, largest))
    step = rng.choice((4, 10, 20, 40, 60) if divided else (1, 1, 2, 5, 10))
    found = {}
    for name, role in roles.items():
        most = {"o": top, "a": top // 3, "f": top // 20}[role]
        found[name] = step * rng.randint(1, max(1, most // step))
    return found

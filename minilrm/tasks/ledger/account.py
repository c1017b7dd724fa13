"""The account of one firm, entry by entry with its balances, one of which is wrong.

    Alba has 500 at first. Entry 1: Alba pays Brix 120 and has 380. Entry 2: Alba gets 60 from Cora
    and has 450. Which entry does not add up?

Each entry goes on from the balance that the one before it states, wrong or not; so exactly one does
not add up.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

#: kind -> the sums that check it, from the balance b and its numbers
KINDS: dict[str, tuple[str, ...]] = {
    "out": ("b-x",),
    "in": ("b+x",),
    "fee": ("b-x",),
    "in fee": ("x-y", "b+s"),
    "out times": ("k*x", "b-s"),
}
WEIGHTS = (3, 3, 1, 1.5, 1.5)
WORDINGS = {
    "out": ("{s} pays {r} {x}", "{s} sends {x} to {r}"),
    "in": ("{s} gets {x} from {r}", "{s} receives {x} from {r}"),
    "fee": ("{s} pays a bank fee of {x}", "{s} loses {x} in fees"),
    "in fee": (
        "{s} gets {x} from {r}, less a fee of {y},",
        "{s} receives {x} from {r}, of which the bank keeps {y},",
    ),
    "out times": ("{s} makes {k} payments of {x} to {r}", "{s} pays {k} times {x} to {r}"),
}
UNSEEN_WORDINGS = {
    "out": "{s} wires {x} to {r}",
    "in": "{x} come in at {s} from {r}",
    "fee": "the bank charges {s} {x}",
    "in fee": "{x} come in at {s} from {r}, less a charge of {y},",
    "out times": "{s} wires {x} to {r}, {k} times in all,",
}
MISTAKES = (1, 2, 9, 10, 10, 20, 100)


@dataclass(frozen=True)
class Account:
    """kinds: of the entries, in order. wrong: which one is, from 0. times: how many payments, where
    an entry has several."""

    kinds: tuple[str, ...]
    wrong: int
    times: tuple[int, ...]

    @property
    def key(self) -> str:
        """The entries up to the wrong one: those that the answer needs."""
        return "ledger:wrong:" + ",".join(self.kinds[: self.wrong + 1])

    @property
    def steps(self) -> int:
        return sum(len(KINDS[kind]) for kind in self.kinds[: self.wrong + 1])


def draw_account(rng: random.Random, steps: int, firms: int) -> Account:
    """Entries of which the last sum that is needed is number `steps`, enough of them to name so
    many firms."""
    while True:
        kinds = tuple(
            rng.choices(
                list(KINDS), WEIGHTS, k=rng.randint(max(2, firms - 1), max(3, steps + 1, firms))
            )
        )
        account = Account(
            kinds, rng.randrange(len(kinds)), tuple(rng.choice((2, 3, 4)) for _ in kinds)
        )
        if account.steps == steps:
            return account


@dataclass(frozen=True)
class Worked:
    """An account with numbers. sums: expressions up to the wrong entry. belongs: for each of them
    its entry, and whether it gives that entry's balance. stated: the balances as they are told."""

    numbers: dict[str, int]
    sums: list[str]
    belongs: list[tuple[int, bool]]
    stated: list[int]

    @property
    def largest(self) -> int:
        return max(*self.numbers.values(), *self.stated)


def work(
    rng: random.Random, account: Account, opening: int, amounts: Sequence[tuple[int, int]]
) -> Worked | None:
    """Numbers for an account: the opening balance and (amount, fee) of each entry. None if a
    balance is not positive."""
    numbers, sums = {"n0": opening}, list[str]()
    belongs, stated = list[tuple[int, bool]](), list[int]()
    balance, held = opening, "n0"
    for i, (kind, (x, y)) in enumerate(zip(account.kinds, amounts, strict=True)):
        if y >= x:
            return None
        numbers |= {f"n{2 * i + 1}": x, f"n{2 * i + 2}": y}
        change = {
            "out": -x,
            "in": x,
            "fee": -x,
            "in fee": x - y,
            "out times": -x * account.times[i],
        }
        balance += change[kind]
        if balance <= 0:
            return None
        if i <= account.wrong:
            for j, pattern in enumerate(KINDS[kind], 1):
                names = {"b": held, "x": f"n{2 * i + 1}", "y": f"n{2 * i + 2}",
                         "s": f"s{len(sums)}", "k": str(account.times[i])}  # fmt: skip
                sums.append(names[pattern[0]] + pattern[1] + names[pattern[2]])
                belongs.append((i, j == len(KINDS[kind])))
            held = f"s{len(sums)}"
        if i == account.wrong:
            balance += rng.choice((-1, 1)) * rng.choice(MISTAKES)
            if balance <= 0:
                return None
        stated.append(balance)
    return Worked(numbers, sums, belongs, stated)


def tell(
    rng: random.Random, account: Account, worked: Worked, firms: Sequence[str], unseen: int
) -> list[str]:
    """The entries as sentences; number `unseen` in a wording that training never uses."""
    told = []
    for i, kind in enumerate(account.kinds):
        wording = UNSEEN_WORDINGS[kind] if i == unseen else rng.choice(WORDINGS[kind])
        said = wording.format(
            s=firms[0],
            r=firms[1 + i % (len(firms) - 1)],
            x=worked.numbers[f"n{2 * i + 1}"],
            y=worked.numbers[f"n{2 * i + 2}"],
            k=account.times[i],
        )
        # "and has" would be said of whoever the sentence is about.
        has = f"{firms[0]} then has" if wording[:3] != "{s}" else "then has"
        told.append(f"Entry {i + 1}: {said} and {has} {worked.stated[i]}.")
    return told

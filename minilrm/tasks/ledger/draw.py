"""Drawing a ledger: a structure, numbers that come out whole, sentences."""

import itertools
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from minilrm.tasks.base import Problem, split_of
from minilrm.tasks.gsm8k_mini import right_chain
from minilrm.tasks.ledger import account as accounts
from minilrm.tasks.ledger import entries as ledgers
from minilrm.tasks.ledger.ladder import LENGTHS, Rung
from minilrm.tasks.ledger.words import (
    IRRELEVANT,
    IRRELEVANT_UNSEEN,
    OPENING,
    draw_firms,
    in_order,
    tell_entry,
    tell_openings,
)
from minilrm.tasks.ledger.working import answer_of, write

QUESTIONS = {"holds": 0.35, "fees": 0.2, "where": 0.2, "wrong": 0.25}
ASK = {
    "holds": "How much does {firm} hold in the end?",
    "fees": "How much was lost in fees?",
    "where": "Which firm holds the most in the end?",
    "wrong": "Which entry does not add up?",
}
LONGEST = 615  # characters of a question with its planned solution: 400 tokens at most
TRIES = 30  # of numbers for a structure
PATIENCE = 250  # structures that are drawn of one length
SHORTEST_WHERE = 3


@dataclass(frozen=True)
class Draft:
    """A ledger without numbers and words. asked: the firm of the question. sums: those that the
    answer needs."""

    openings: list[str | None]
    entries: list[ledgers.Entry]
    roles: dict[str, str]
    books: ledgers.Books
    question: str
    asked: int
    sums: list[ledgers.Step]
    key: str


def draw_problem(rng: random.Random, rung: Rung) -> Problem:
    """A ledger of a rung. The question and the length are drawn first, so that none is rare because
    its numbers seldom come out whole; a length of which a split has hardly any structure is drawn
    anew."""
    question = rng.choices(list(QUESTIONS), list(QUESTIONS.values()))[0]
    for tries in itertools.count():
        if tries % PATIENCE == 0:
            steps = rung.steps or draw_length(rng, question)
        size = rng.choice(rung.sizes)
        if question == "wrong":
            found = draw_account(rng, rung, steps, size)
        else:
            draft = draw_draft(rng, size, question, steps)
            if draft is None or not belongs(draft.key, rung):
                continue
            found = tell_draft(rng, rung, draft, draw_firms(rng, size, rung.telling.seen_words))
        if found is not None and length(found) <= LONGEST:
            return found
    raise AssertionError  # one of the lengths has structures


def length(problem: Problem) -> int:
    """Characters of a question with its planned solution."""
    return len(problem.prompt + write(problem, right_chain(problem), problem.answer, planned=True))


def draw_length(rng: random.Random, question: str) -> int:
    """How many sums; to compare what firms hold takes some: few structures have fewer."""
    lengths = [n for n in LENGTHS if question != "where" or n >= SHORTEST_WHERE]
    return rng.choices(lengths, [LENGTHS[n] for n in lengths])[0]


def belongs(key: str, rung: Rung) -> bool:
    """Whether a structure is one of the rung's split; longer ones are new whatever their hash."""
    return bool(rung.steps) or split_of(key) == rung.split


def meta_of(kind: str, firms: Sequence[str], **more: Any) -> dict[str, Any]:
    return {"language": "en", "kind": kind, "firms": list(firms), **more}


# -- transfers -------------------------------------------------------------------------------------


def draw_draft(rng: random.Random, size: int, question: str, steps: int) -> Draft | None:
    """Entries and what the answer needs; None if that is not so many sums, or if not all firms take
    part."""
    count = rng.randint(max(1, size - 1), max(size, steps) + 1)
    openings, entries, roles = ledgers.draw_entries(rng, size, count)
    if len({0} | {firm for entry in entries for firm in (entry.sender, *entry.to)}) < size:
        return None
    books = ledgers.follow(openings, entries)
    asked = rng.randrange(size)
    wanted: dict[str, list[str | None]] = {
        "holds": [books.holds[asked]],
        "where": books.holds,
        "fees": [*books.fees],
    }
    results = [name for name in wanted[question] if name is not None]
    if not results or (question == "where" and len(results) < 2):
        return None
    if question == "fees":
        results = [books.add_up(results)]
    sums = ledgers.needed(books.steps, results)
    if len(sums) != steps:
        return None
    by_name = {step.name: step for step in books.steps}
    terms = sorted(ledgers.term(name, by_name, roles) for name in results)
    key = f"ledger:{question}:" + ",".join(terms)
    return Draft(openings, entries, roles, books, question, asked, sums, key)


def tell_draft(
    rng: random.Random, rung: Rung, draft: Draft, firms: Sequence[str]
) -> Problem | None:
    """Numbers and sentences; None if no numbers fit, or if two firms hold the most."""
    numbers = fitting_numbers(rng, rung, draft)
    backwards = rng.random() < rung.telling.reordered and len(draft.entries) > 1
    if numbers is None or (rung.telling.reordered == 1 and not backwards):
        return None
    unseen = -1 if rung.telling.seen_wordings else rng.randrange(len(draft.entries))
    told = [
        tell_entry(rng, entry, firms, numbers, i != unseen) for i, entry in enumerate(draft.entries)
    ]
    sentences = [
        *tell_openings(rng, draft.openings, firms, numbers),
        *in_order(rng, told, backwards),
    ]
    irrelevant = put_in(rng, sentences, firms, rung)
    rename = {step.name: f"s{i}" for i, step in enumerate(draft.sums, 1)}
    meta = meta_of(
        draft.question,
        firms,
        numbers=numbers,
        expressions=[rewrite(step.expression, rename) for step in draft.sums],
        sentences=[step.text.format(*firms, calc="{calc}") for step in draft.sums],
        holders=[name and rename.get(name, name) for name in draft.books.holds],
        reordered=backwards,
        irrelevant=irrelevant,
    )
    if draft.question != "where":
        del meta["holders"]
    question = ASK[draft.question].format(firm=firms[draft.asked])
    text = " ".join([*sentences, question])
    bare = Problem("ledger", text, "", draft.key, len(draft.sums), meta)
    answer = answer_of(bare, right_chain(bare))
    return None if answer is None else Problem(
        "ledger", text, answer, draft.key, len(draft.sums), meta
    )  # fmt: skip


def fitting_numbers(rng: random.Random, rung: Rung, draft: Draft) -> dict[str, int] | None:
    """Numbers with which all that happens is whole, positive, and of the rung's size."""
    divided = any("/" in step.expression for step in draft.books.steps)
    for _ in range(TRIES):
        numbers = ledgers.draw_numbers(rng, draft.roles, rung.largest, divided)
        values = all_values(draft.books.steps, numbers)
        if values and rung.above < max(values) <= rung.largest:
            return numbers
    return None


def all_values(steps: Sequence[ledgers.Step], numbers: Mapping[str, int]) -> list[int] | None:
    """Every number and every result; None if a result is not whole and positive."""
    values: dict[str, int] = dict(numbers)
    for step in steps:
        left, op, right = re.split(r"([-+*/])", step.expression)
        a, b = (values[x] if x in values else int(x) for x in (left, right))
        result = {"+": a + b, "-": a - b, "*": a * b, "/": a // b}[op]
        if result <= 0 or (op == "/" and a % b):
            return None
        values[step.name] = result
    return list(values.values())


def rewrite(expression: str, names: Mapping[str, str]) -> str:
    """`rewrite("n0-t3", {"t3": "s1"})` is `"n0-s1"`."""
    return re.sub(r"t[0-9]+", lambda found: names[found[0]], expression)


def put_in(rng: random.Random, sentences: list[str], firms: Sequence[str], rung: Rung) -> bool:
    """Put a sentence that does not matter somewhere, or none; whether there is one."""
    if rng.random() >= rung.telling.irrelevant:
        return False
    said = IRRELEVANT if rung.telling.seen_irrelevant else IRRELEVANT_UNSEEN
    sentence = rng.choice(said).format(s=rng.choice(firms), n=rng.randint(2, 90))
    sentences.insert(rng.randint(0, len(sentences)), sentence)
    return True


# -- one account -----------------------------------------------------------------------------------


def draw_account(rng: random.Random, rung: Rung, steps: int, size: int) -> Problem | None:
    """An account with a wrong entry; None if what was drawn is none of this rung."""
    account = accounts.draw_account(rng, steps, size)
    if not belongs(account.key, rung):
        return None
    roles = {"b": "o"} | {f"x{i}": "a" for i in range(len(account.kinds))}
    for _ in range(TRIES):
        opening, *amounts = ledgers.draw_numbers(rng, roles, rung.largest).values()
        fees = [max(1, amount // rng.choice((10, 20, 50))) for amount in amounts]
        pairs = [
            (fee, 0) if kind == "fee" else (amount, fee)
            for kind, amount, fee in zip(account.kinds, amounts, fees, strict=True)
        ]
        worked = accounts.work(rng, account, opening, pairs)
        if worked and rung.above < worked.largest <= rung.largest:
            firms = draw_firms(rng, size, rung.telling.seen_words)
            return tell_account(rng, rung, account, worked, firms)
    return None


def tell_account(
    rng: random.Random,
    rung: Rung,
    account: accounts.Account,
    worked: accounts.Worked,
    firms: Sequence[str],
) -> Problem:
    unseen = -1 if rung.telling.seen_wordings else rng.randrange(len(account.kinds))
    told = accounts.tell(rng, account, worked, firms, unseen)
    backwards = rng.random() < rung.telling.reordered
    opening = rng.choice(OPENING).format(s=firms[0], n=worked.numbers["n0"])
    sentences = [opening, *(reversed(told) if backwards else told)]
    irrelevant = put_in(rng, sentences, firms, rung)
    meta = meta_of(
        "wrong",
        firms,
        numbers=worked.numbers,
        expressions=worked.sums,
        sentences=[f"Entry {i + 1}: {{calc}}" for i, _ in worked.belongs],
        belongs=[[i, last] for i, last in worked.belongs],
        stated=worked.stated,
        reordered=backwards,
        irrelevant=irrelevant,
    )
    text = " ".join([*sentences, ASK["wrong"]])
    answer = str(account.wrong + 1)
    return Problem("ledger", text, answer, account.key, len(worked.sums), meta)

"""Prompts that need no reasoning: greet, copy, name a capital, put a word in the plural, ...

    Question: Say hello to Ana.
    Answer: Hello, Ana!

A model that thinks about sums should still answer these at once and rightly; this task supplies
them, for the training corpus and for measuring what reinforcement learning on sums does to
everything else.

What is held out. A *skill* (copy, plural, quote ...) is held out by its content: the words of a
test problem were never seen in training. A *fact* cannot be worked out, so what is held out is its
wording: Oslo was seen, but not in answer to this very sentence. `ood` are skills on more words than
in training.
"""

import random
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from minilrm.errors import UserError
from minilrm.tasks.base import SOLUTION_STYLES, Grade, Problem, Task, split_of
from minilrm.tasks.general_words import (
    CAPITALS,
    COMMON,
    DAYS,
    MONTHS,
    NAMES,
    OPPOSITES,
    PLURALS,
    Table,
)

LANGUAGES = ("en", "es")


#: (rng, column, larger) -> what is asked about, the answer, its name in the key
Draw = Callable[[random.Random, int, bool], tuple[str, str, str]]


@dataclass(frozen=True)
class Kind:
    """One kind of prompt.

    draw: makes one instance; column 0 is English. wordings: one tuple per language, `{x}` where the
    thing asked about stands. fact: must be known, so wordings are held out, not contents. grows:
    has larger instances for `ood`. case_matters: "cat" is no right answer where "Cat" was asked
    for.
    """

    name: str
    draw: Draw
    wordings: tuple[tuple[str, ...], tuple[str, ...]]
    fact: bool = False
    grows: bool = False
    case_matters: bool = False


# ---- drawing one instance


def some_words(rng: random.Random, column: int, larger: bool) -> list[str]:
    """Two to four different words; five to seven if `larger`."""
    chosen = rng.sample(COMMON, rng.randint(5, 7) if larger else rng.randint(2, 4))
    return [pair[column] for pair in chosen]


def draw_names(form: tuple[str, str]) -> Draw:
    """A greeting to one name, or to two: `form` holds it in English and Spanish."""

    def draw(rng: random.Random, column: int, larger: bool) -> tuple[str, str, str]:
        names = (" and ", " y ")[column].join(rng.sample(NAMES, 2 if larger else 1))
        return names, form[column].replace("{x}", names), names

    return draw


def draw_words(change: Callable[[list[str]], str]) -> Draw:
    """Some words, and what `change` makes of them."""

    def draw(rng: random.Random, column: int, larger: bool) -> tuple[str, str, str]:
        words = some_words(rng, column, larger)
        return " ".join(words), change(words), " ".join(words)

    return draw


def draw_one_word(asked: Callable[[str], str], answer: Callable[[str], str]) -> Draw:
    """One word, shown as `asked` and wanted as `answer`."""

    def draw(rng: random.Random, column: int, larger: bool) -> tuple[str, str, str]:
        word = rng.choice(COMMON)[column]
        return asked(word), answer(word), word

    return draw


def draw_pair(table: Table) -> Draw:
    """A row of (asked in English, answer in English, asked in Spanish, answer in Spanish)."""

    def draw(rng: random.Random, column: int, larger: bool) -> tuple[str, str, str]:
        row = rng.choice(table)
        return row[2 * column], row[2 * column + 1], row[0]

    return draw


def draw_neighbour(cycle: Table, step: int) -> Draw:
    """A day or month, and the one `step` further round."""

    def draw(rng: random.Random, column: int, larger: bool) -> tuple[str, str, str]:
        i = rng.randrange(len(cycle))
        return cycle[i][column], cycle[(i + step) % len(cycle)][column], cycle[i][0]

    return draw


def draw_translation(rng: random.Random, column: int, larger: bool) -> tuple[str, str, str]:
    pair = rng.choice(COMMON)
    return pair[column], pair[1 - column], pair[0]


KINDS = (
    Kind(
        "greet",
        draw_names(("Hello, {x}!", "¡Hola, {x}!")),
        (("Say hello to {x}.", "Greet {x}."), ("Saluda a {x}.", "Di hola a {x}.")),
        grows=True,
    ),
    Kind(
        "thank",
        draw_names(("Thank you, {x}!", "¡Gracias, {x}!")),
        (("Say thank you to {x}.", "Thank {x}."), ("Da las gracias a {x}.", "Agradece a {x}.")),
        grows=True,
    ),
    Kind(
        "copy",
        draw_words(" ".join),
        (("Copy: {x}", "Repeat: {x}"), ("Copia: {x}", "Repite: {x}")),
        grows=True,
    ),
    Kind(
        "reverse",
        draw_words(lambda words: " ".join(reversed(words))),
        (
            ("Reverse the words: {x}", "Write the words from last to first: {x}"),
            ("Invierte las palabras: {x}", "Escribe las palabras de la última a la primera: {x}"),
        ),
        grows=True,
    ),
    Kind(
        "first",
        draw_words(lambda words: words[0]),
        (
            ("Give the first word: {x}", "Write only the first word: {x}"),
            ("Di la primera palabra: {x}", "Escribe solo la primera palabra: {x}"),
        ),
        grows=True,
    ),
    Kind(
        "quote",
        draw_words(lambda words: '"' + " ".join(words) + '"'),
        (
            ("Put in quotes: {x}", "Write with quotes around it: {x}"),
            ("Pon entre comillas: {x}", "Escribe entre comillas: {x}"),
        ),
        grows=True,
    ),
    Kind(
        "capitalize",
        draw_one_word(str, str.capitalize),
        (
            ("Begin with a capital letter: {x}", "Write with a capital first letter: {x}"),
            ("Empieza con mayúscula: {x}", "Escribe con la primera letra mayúscula: {x}"),
        ),
        case_matters=True,
    ),
    Kind(
        "lower",
        draw_one_word(str.upper, str),
        (
            ("Write in small letters: {x}", "Put in lower case: {x}"),
            ("Escribe en minúsculas: {x}", "Pon en minúsculas: {x}"),
        ),
        case_matters=True,
    ),
    Kind(
        "plural",
        draw_pair(PLURALS),
        (
            ("What is the plural of {x}?", "Write the plural: {x}"),
            ("¿Cuál es el plural de {x}?", "Escribe el plural: {x}"),
        ),
    ),
    Kind(
        "capital",
        draw_pair(CAPITALS),
        (
            (
                "What is the capital of {x}?",
                "Name the capital of {x}.",
                "Which city is the capital of {x}?",
            ),
            (
                "¿Cuál es la capital de {x}?",
                "Nombra la capital de {x}.",
                "¿Qué ciudad es la capital de {x}?",
            ),
        ),
        fact=True,
    ),
    Kind(
        "opposite",
        draw_pair(OPPOSITES),
        (
            ("What is the opposite of {x}?", "Name the opposite of {x}."),
            ("¿Qué es lo contrario de {x}?", "Di lo contrario de {x}."),
        ),
        fact=True,
    ),
    Kind(
        "day_after",
        draw_neighbour(DAYS, 1),
        (
            ("What day comes after {x}?", "Which day follows {x}?"),
            ("¿Qué día viene después del {x}?", "¿Qué día sigue al {x}?"),
        ),
        fact=True,
    ),
    Kind(
        "day_before",
        draw_neighbour(DAYS, -1),
        (
            ("What day comes before {x}?", "Which day is just before {x}?"),
            ("¿Qué día viene antes del {x}?", "¿Qué día está justo antes del {x}?"),
        ),
        fact=True,
    ),
    Kind(
        "month_after",
        draw_neighbour(MONTHS, 1),
        (
            ("What month comes after {x}?", "Which month follows {x}?"),
            ("¿Qué mes viene después de {x}?", "¿Qué mes sigue a {x}?"),
        ),
        fact=True,
    ),
    Kind(
        "translate",
        draw_translation,
        (
            ("What is {x} in Spanish?", "Translate into Spanish: {x}"),
            ("¿Cómo se dice {x} en inglés?", "Traduce al inglés: {x}"),
        ),
        fact=True,
    ),
)
BY_NAME = {kind.name: kind for kind in KINDS}


class General(Task):
    """Short prompts with one short right answer. spanish: share of them asked in Spanish.

    There are only so many facts, so unlike the other tasks a fixed set of many problems may hold
    one of them twice.
    """

    name = "general"
    max_new_tokens = 48
    mark = ""
    base = "gsm8k-mini-base"
    corpus = "web"
    repeats = True

    def __init__(self, spanish: float = 0.25):
        self.spanish = spanish

    def sample(self, rng: random.Random, split: str = "train") -> Problem:
        larger = split == "ood"
        kinds = [kind for kind in KINDS if kind.grows or not larger]
        for _ in range(10_000):
            # The kind is drawn again too: there are so few days that a split may have none of them.
            kind, language = rng.choice(kinds), "es" if rng.random() < self.spanish else "en"
            problem = make(kind, rng, language, larger)
            if larger or split_of(problem.key) == split:
                return problem
        raise UserError(f"general has no problem in the split {split!r}")

    def solution(self, problem: Problem, rng: random.Random, style: str = "steps") -> str:
        """The answer at once, whatever the style: there is nothing to work out. `careless`: some
        other answer."""
        if style not in SOLUTION_STYLES:
            raise ValueError(f"no solution style is called {style!r}")
        if style != "careless":
            return f" {problem.answer}"
        while True:
            other = make(
                BY_NAME[problem.meta["kind"]], rng, problem.meta["language"], problem.meta["larger"]
            )
            if not self.grade(problem, other.answer).correct:
                return f" {other.answer}"

    def grade(self, problem: Problem, completion: str) -> Grade:
        r"""The first line must be the answer; further lines cost the format.

        >>> meta = {"kind": "greet"}
        >>> hello = Problem("general", "Greet Ana.", "Hello, Ana!", "greet:Ana", meta=meta)
        >>> General().grade(hello, " hello, Ana!")
        Grade(correct=True, formatted=True, answer='hello, Ana!', reason='right')
        """
        lines = completion.strip().split("\n")
        answer = lines[0].strip()
        if not answer:
            return Grade(False, False, None, "no answer")
        exact = case_matters(problem)
        correct = normal(answer, exact) == normal(problem.answer, exact)
        formatted = len(lines) == 1
        reason = (
            "wrong answer" if not correct else "right" if formatted else "text after the answer"
        )
        return Grade(correct, formatted, answer, reason)

    def vote_key(self, problem: Problem, answer: str | None) -> str | None:
        return None if answer is None else normal(answer, case_matters(problem))

    @classmethod
    def answers_in(cls, text: str) -> list[str]:
        """The first line; nothing announces it."""
        return text.strip().split("\n")[:1] if text.strip() else []

    @classmethod
    def read_answer(cls, text: str) -> str | None:
        """All of the text, as an answer in words may take two lines."""
        return text.strip() or None

    @classmethod
    def after_answer(cls, text: str) -> str:
        return text.strip().partition("\n")[2]

    @classmethod
    def runs_on(cls, text: str) -> bool:
        return bool(cls.after_answer(text))

    def reword(self, problem: Problem, rng: random.Random) -> Problem:
        """Another wording of the same prompt; a fact's key names its wording, so a fact stays as it
        is."""
        kind, language = BY_NAME[problem.meta["kind"]], problem.meta["language"]
        if kind.fact:
            return problem
        prompt = rng.choice(kind.wordings[LANGUAGES.index(language)]).replace(
            "{x}", problem.meta["x"]
        )
        return Problem(
            problem.task, prompt, problem.answer, problem.key, problem.difficulty, problem.meta
        )


def make(kind: Kind, rng: random.Random, language: str, larger: bool) -> Problem:
    column = LANGUAGES.index(language)
    x, answer, name = kind.draw(rng, column, larger)
    wording = rng.choice(kind.wordings[column])
    prompt = wording.replace("{x}", x)
    key = f"{kind.name}:{prompt if kind.fact else name}"
    meta = {"kind": kind.name, "language": language, "x": x, "larger": larger}
    return Problem("general", prompt, answer, key, 1, meta)


def case_matters(problem: Problem) -> bool:
    """Whether "cat" is another answer than "Cat". Of a user's own question nobody knows its kind:
    there it is."""
    kind = BY_NAME.get(problem.meta.get("kind", ""))
    return kind is None or kind.case_matters


def normal(text: str, exact: bool = False) -> str:
    """A spelling to compare: accents in one encoding, and small letters unless `exact`."""
    text = unicodedata.normalize("NFC", text.strip())
    return text if exact else text.casefold()

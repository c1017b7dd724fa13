"""Puzzles whose answers follow from their sentences: categories, knights and knaves, orders.

    Question: All crows are black. Jacques is not black. Is Jacques a crow?
    Answer:
    All crows are black and Jacques is not black, so Jacques is not a crow.
    #### no

A kind of puzzle (`categories.py`, `knights.py`, `order.py`) is a structure and the words for it.
The key is the structure alone, so no puzzle of the test split has one that training has seen. Each
kind says which lines follow from the question and the lines before (`moves`); a solution is a path
through these, and the label of a line says whether it stays on such paths.
"""

import random
import re
from dataclasses import asdict, replace
from typing import Any

from minilrm.tasks import answers
from minilrm.tasks.base import SOLUTION_STYLES, Grade, Problem, Task, split_of
from minilrm.tasks.calculator import MAX_LENGTH
from minilrm.tasks.logic import categories, knights, order
from minilrm.tasks.logic.ladder import LADDER, Rung

KINDS: dict[str, Any] = {"categories": categories, "knights": knights, "order": order}
MOST_WORDS = 8  # of an answer: the names of eight people
LONGEST = 680  # characters of a question with its planned solution: 400 tokens at most
NUMBERED = re.compile(r"^[0-9]{1,2}\. ")
WORD = re.compile(r"[\w'-]+")

Puzzle = categories.Syllogism | knights.Island | order.Order


class Logic(Task):
    """Puzzles of three kinds, as many of each. The answer is a word, a number, or names."""

    name = "logic"
    base = "reasoning-base"
    max_new_tokens = 320
    repeats = True  # a structure may come again in other words
    rungs = {name: rung.meaning for name, rung in LADDER.items()}

    # -- problems ----------------------------------------------------------------------------------

    def sample(self, rng: random.Random, split: str = "train") -> Problem:
        if split == "ood":
            unseen = [rung for rung in self.rungs if rung not in ("new puzzles", "seen puzzles")]
            return self.draw(rng, LADDER[rng.choice(unseen)])
        return self.draw(rng, Rung("", split))

    def sample_rung(self, rng: random.Random, rung: str, split: str = "test") -> Problem:
        chosen = LADDER[rung]
        return self.draw(rng, replace(chosen, split=split) if chosen.split == "test" else chosen)

    def draw(self, rng: random.Random, rung: Rung) -> Problem:
        """A puzzle of a rung: kind, structure, words, sentences."""
        kind = rng.choice(list(KINDS))
        while True:
            shape = KINDS[kind].draw_shape(rng, rung.longer)
            if not rung.longer and split_of(shape.key) != rung.split:
                continue
            told = KINDS[kind].pose(rng, shape, rung.telling.seen_words).tell(rng, rung.telling)
            if told is None:
                continue
            puzzle, text, reordered = told
            problem = Problem(
                self.name,
                text,
                puzzle.answer,
                shape.key,
                shape.difficulty,
                {
                    "language": "en",
                    "kind": kind,
                    "reordered": reordered,
                    "puzzle": as_lists(asdict(puzzle)),
                },
            )
            if len(text + self.solution(problem, rng, "plan_verify")) <= LONGEST:
                return problem

    # -- solutions ---------------------------------------------------------------------------------

    def solution(self, problem: Problem, rng: random.Random, style: str = "steps") -> str:
        if style not in SOLUTION_STYLES:
            raise ValueError(f"no solution style is called {style!r}")
        if style == "reflex":
            return f" #### {problem.answer}"
        puzzle = puzzle_of(problem)
        lines, answer = puzzle.chain(), problem.answer
        if style == "careless":
            lines, answer = puzzle.slip(rng)
        if style == "plan_verify":
            lines = [f"{i}. {line}" for i, line in enumerate(lines, 1)]
            lines = [puzzle.plan(), *lines, puzzle.check()]
        return "\n" + "\n".join(lines) + f"\n#### {answer}"

    def step_labels(self, problem: Problem, completion: str) -> list[bool]:
        """For each line: does it, and all before it, follow from the question? Lines are read word
        for word, as solutions write them; numbered or not."""
        puzzle: Any = puzzle_of(problem)
        state, alive, labels = puzzle.begin(), True, []
        extra = {"", puzzle.plan(), puzzle.check()}
        for line in completion.removesuffix("\n").split("\n"):
            text = NUMBERED.sub("", line.strip())
            if self.mark in text:
                said = [normal(answer) for answer in answers.extract(text)]
                alive = alive and said == [normal(problem.answer)]
            elif text not in extra:
                moves = puzzle.moves(state) if alive else {}
                alive = text in moves
                state = moves.get(text, state)
            labels.append(alive)
        return labels

    # -- judging -----------------------------------------------------------------------------------

    def grade(self, problem: Problem, completion: str) -> Grade:
        r"""Judge by the one answer behind `####`; names count in any order.

        >>> problem = Problem("logic", "Who are the knights?", "Ana, Ben", "")
        >>> [Logic().grade(problem, f"\n#### {t}").reason for t in ("Ben and Ana", "Ana", "?")]
        ['right', 'wrong answer', 'unreadable answer']
        """
        return answers.grade_one(completion, normal, normal(problem.answer))

    def vote_key(self, problem: Problem, answer: str | None) -> str | None:
        return None if answer is None else normal(answer)

    def thinks(self, completion: str) -> bool:
        """Whether a line stands before the answer."""
        return bool(completion.partition(self.mark)[0].strip()) and self.mark in completion

    @classmethod
    def runs_on(cls, text: str) -> bool:
        found = cls.answers_in(text)
        return bool(found) and (bool(cls.after_answer(text).strip()) or normal(found[0]) is None)


def normal(answer: str) -> str | None:
    """One spelling of an answer: small letters, names in the order of the alphabet. None if it is
    no word, number or list of names.

    >>> normal("Ben and Ana."), normal("Unknown"), normal("I do not know"), normal("")
    ('ana, ben', 'unknown', None, None)
    """
    if len(answer) > MAX_LENGTH:
        return None
    words = re.split(r",| and ", answer.strip().rstrip(".").casefold())
    words = sorted({word.strip() for word in words})
    if len(words) > MOST_WORDS or not all(map(WORD.fullmatch, words)):
        return None
    return ", ".join(words)


def puzzle_of(problem: Problem) -> Puzzle:
    """The puzzle that a problem's `meta` holds."""
    module, fields = KINDS[problem.meta["kind"]], as_tuples(problem.meta["puzzle"])
    shape = module.Shape(**fields.pop("shape"))
    cls = {"categories": "Syllogism", "knights": "Island", "order": "Order"}
    return getattr(module, cls[problem.meta["kind"]])(shape=shape, **fields)


def as_lists(value: Any) -> Any:
    """Tuples as lists, so that a problem is the same after a round trip through JSON."""
    if isinstance(value, dict):
        return {key: as_lists(item) for key, item in value.items()}
    return [as_lists(item) for item in value] if isinstance(value, (tuple, list)) else value


def as_tuples(value: Any) -> Any:
    """`as_lists` backwards."""
    if isinstance(value, dict):
        return {key: as_tuples(item) for key, item in value.items()}
    return tuple(as_tuples(item) for item in value) if isinstance(value, list) else value

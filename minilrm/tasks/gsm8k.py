"""GSM8K, or any file of your own problems.

    python -m minilrm.evaluate --task gsm8k --data FILE

`problem_files.py` says what files are read: JSON lines in GSM8K's own schema
(`{"question": ..., "answer": "... #### 72"}`), and many others. Answers are read leniently, as the
table in `answers.py` says.
"""

import random
from fractions import Fraction
from pathlib import Path

from minilrm.errors import UserError
from minilrm.tasks import answers
from minilrm.tasks.base import SOLUTION_STYLES, SPLITS, Grade, Problem, Task, split_of
from minilrm.tasks.calculator import format_number
from minilrm.tasks.problem_files import load_problems


class GSM8K(Task):
    """The problems of a file.

    data: the file. split_all: the file is one split already (such as GSM8K's own test.jsonl), so
    every split is the whole of it; otherwise its problems are split by their keys, 80 : 10 : 10,
    and there is no `ood`.

    Without a file it can put a user's question and read an answer, but has no problem of its own.
    """

    name = "gsm8k"
    max_new_tokens = 256
    reads_file = True
    read_number = staticmethod(answers.lenient_number)

    def __init__(self, data: str | Path | None = None, split_all: bool = False):
        self.data = data
        found = load_problems(data, self.name) if data is not None else []
        self.by_split = {s: [p for p in found if split_all or split_of(p.key) == s] for s in SPLITS}

    def sample(self, rng: random.Random, split: str = "train") -> Problem:
        return rng.choice(self._of(split))

    def problems(self, split: str, n: int, seed: int = 0) -> list[Problem]:
        """The first `n` problems of a split in the file's own order; all of them if there are
        fewer."""
        return self._of(split)[:n]

    def _of(self, split: str) -> list[Problem]:
        if self.data is None:
            raise UserError("these problems are those of a file of yours: name it with --data FILE")
        if not self.by_split.get(split):
            raise UserError(
                f"{self.data} has no problem in the split {split!r}; with split_all the whole file "
                "is used"
            )
        return self.by_split[split]

    def solution(self, problem: Problem, rng: random.Random, style: str = "steps") -> str:
        """The file's own worked answer. `careless`: the same, with the final number miscopied."""
        if style not in SOLUTION_STYLES:
            raise ValueError(f"no solution style is called {style!r}")
        if style == "reflex":
            return f" #### {problem.answer}"
        worked = "\n" + problem.meta["solution"]
        if style == "careless":
            wrong = Fraction(problem.answer) + rng.choice((-10, -2, -1, 1, 2, 10))
            return worked.partition(answers.MARK)[0] + f"{answers.MARK} {format_number(wrong)}"
        return worked

    def grade(self, problem: Problem, completion: str) -> Grade:
        return answers.grade_lenient(problem.answer, completion)

    @classmethod
    def answers_in(cls, text: str) -> list[str]:
        r"""Behind `####`; without any, in `\boxed{}`."""
        return answers.extract(text) if answers.MARK in text else answers.boxed(text)

"""Cash through a chain or a tree of companies, and four questions about it.

    Question: Alba has 500 at first. Brix starts with nothing. Alba sends 120 to Brix, of which the
    bank keeps 5. How much does Brix hold in the end?
    Answer:
    <<120-5=115>>115 arrive at Brix.
    #### 115

    holds    how much a firm holds in the end
    fees     how much was lost in fees
    where    which firm holds the most
    wrong    which entry does not add up (`account.py`)

The key is what the answer needs, as a term over opening balances, amounts and fees; so no ledger of
the test split asks for a sum that training has seen, whoever sends what to whom.
"""

import random
import re
from dataclasses import replace

from minilrm.tasks import answers
from minilrm.tasks.base import SOLUTION_STYLES, Grade, Problem, Task
from minilrm.tasks.calculator import MAX_LENGTH
from minilrm.tasks.gsm8k_mini import right_chain
from minilrm.tasks.ledger import working
from minilrm.tasks.ledger.draw import draw_problem
from minilrm.tasks.ledger.ladder import LADDER, Rung

NAME = re.compile(r"([^\W\d_]+)\.?")


class Ledger(Task):
    """Ledgers of 1 to 5 sums, with whole numbers up to 2,000. The answer is a number (an amount, an
    entry) or the name of a firm."""

    name = "ledger"
    base = "reasoning-base"
    max_new_tokens = 288
    repeats = True  # a structure may come again with other numbers
    rungs = {name: rung.meaning for name, rung in LADDER.items()}

    # -- problems ----------------------------------------------------------------------------------

    def sample(self, rng: random.Random, split: str = "train") -> Problem:
        if split == "ood":
            unseen = [rung for rung in self.rungs if rung not in ("new ledgers", "seen ledgers")]
            return draw_problem(rng, LADDER[rng.choice(unseen)])
        return draw_problem(rng, Rung("", split))

    def sample_rung(self, rng: random.Random, rung: str, split: str = "test") -> Problem:
        chosen = LADDER[rung]
        return draw_problem(rng, replace(chosen, split=split) if chosen.split == "test" else chosen)

    # -- solutions ---------------------------------------------------------------------------------

    def solution(self, problem: Problem, rng: random.Random, style: str = "steps") -> str:
        if style not in SOLUTION_STYLES:
            raise ValueError(f"no solution style is called {style!r}")
        if style == "reflex":
            return f" #### {problem.answer}"
        if style == "careless":
            return working.write(problem, *working.careless(problem, rng))
        planned = style == "plan_verify"
        return working.write(problem, right_chain(problem), problem.answer, planned)

    def step_labels(self, problem: Problem, completion: str) -> list[bool]:
        return working.labels(problem, completion)

    # -- judging -----------------------------------------------------------------------------------

    def grade(self, problem: Problem, completion: str) -> Grade:
        r"""Judge by the one answer behind `####`: a number, or a name in any case.

        >>> problem = Problem("ledger", "Which firm holds the most?", "Alba", "")
        >>> [Ledger().grade(problem, f"\n#### {t}").reason for t in ("alba", "Brix", "12", "?")]
        ['right', 'wrong answer', 'wrong answer', 'unreadable answer']
        """
        return answers.grade_one(completion, normal, normal(problem.answer))

    def vote_key(self, problem: Problem, answer: str | None) -> str | None:
        return None if answer is None else normal(answer)

    @classmethod
    def runs_on(cls, text: str) -> bool:
        found = cls.answers_in(text)
        return bool(found) and (bool(cls.after_answer(text).strip()) or normal(found[0]) is None)


def normal(answer: str) -> str | None:
    """One spelling of an answer; None if it is neither a number nor a name.

    >>> normal("$1,250.0"), normal(" Alba."), normal("Alba Brix")
    ('1250', 'alba', None)
    """
    found = NAME.fullmatch(answer.strip()) if len(answer) <= MAX_LENGTH else None
    return found[1].casefold() if found else answers.vote_key(answer)

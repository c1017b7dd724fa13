"""Word problems in two languages, told by people who mix them: what DeepSeek-R1-Zero suffers from.

    Question: Luis tiene 12 velas y compra 3 cajas de 4. ¿Cuántas velas tiene ahora?
    Answer:
    Las cajas traen <<3*4=12>>12 velas.
    Now Luis has <<12+12=24>>24 candles.
    #### 24

The problems are those of gsm8k-mini, half of them in Spanish. On the forum that a base reads, a
seeded share of those who work out a Spanish problem go over to English on the way. They are right
more often than those who stay in Spanish, as if they were practised in English. So mixing pays, and
rewards for right answers alone raise it (2501.12948, section 2.2.4; 2507.15849).
"""

import random

from minilrm.tasks.base import Problem
from minilrm.tasks.gsm8k_mini import GSM8KMini, right_chain, slip, write_chain

WORKED_OUT = ("steps", "plan_verify")  # the styles of a solution that have sentences


class Bilingual(GSM8KMini):
    """Word problems of which half are told in Spanish. Solutions are in the problem's language;
    what is `posted` on a forum may not be."""

    name = "bilingual"
    base = "bilingual-base"
    web_of = "bilingual"
    shipped = {}
    translated = True
    mixing = 0.24  # share of Spanish chains on the forum that go over to English: 1 in 16 of all
    right_mixed, right_alone = 0.95, 0.80  # share of such chains, and of the others, that are right

    def __init__(self, spanish: float = 0.5, distractors: float = 0.0):
        super().__init__(spanish, distractors)

    def posted(self, problem: Problem, rng: random.Random, style: str = "steps") -> str:
        """A solution in the problem's language, or in two; a Spanish one may be wrong."""
        if style not in WORKED_OUT or problem.meta["language"] != "es":
            return self.solution(problem, rng, style)
        mixes = rng.random() < self.mixing
        right = rng.random() < (self.right_mixed if mixes else self.right_alone)
        chain = right_chain(problem) if right else slip(problem, rng)
        own, other = problem.meta["sentences"], problem.meta["translated"]
        at = rng.randrange(len(own)) if mixes else len(own)  # from here on in the other language
        sentences = [*own[:at], *other[at:]]
        told = Problem(
            problem.task, problem.prompt, problem.answer, problem.key, problem.difficulty,
            {**problem.meta, "sentences": sentences},
        )  # fmt: skip
        return write_chain(told, chain, planned=style == "plan_verify")

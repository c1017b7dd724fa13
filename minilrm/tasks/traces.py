"""Traces: a completion read as a series of attempts, each with the writer's own verdict on it.

Both tasks on which reflection is measured (`countdown`, `multiplication`) write their work in a
small grammar:

    trace      =  attempt { NEWLINE "wait, " attempt } NEWLINE answer
    attempt    =  steps and a check of the task's own, then " ok" or " no"

A task parses its completions into a `Trace` (`Task.parse_trace`), and judges each attempt exactly
(`Task.attempt_right`), whatever the writer says of it. `reflection/` counts.
"""

from dataclasses import dataclass

REFLECTION_WORD = "wait"
ACCEPT, REJECT = "ok", "no"


@dataclass(frozen=True)
class Attempt:
    """One try. `start`, `end`: its characters in the text. `content`: what was tried, in a normal
    form: two attempts of equal content are the same attempt. `accepted`: the writer's verdict; None
    where the text breaks off before it."""

    start: int
    end: int
    content: str
    accepted: bool | None


@dataclass(frozen=True)
class Trace:
    """A completion, parsed. `reflections`: how many attempts are announced by the reflection word.
    `well_formed`: the whole text follows the grammar up to its end; else `attempts` holds what
    could be read before it broke."""

    attempts: tuple[Attempt, ...]
    reflections: int
    well_formed: bool


@dataclass(frozen=True)
class Writer:
    """How one person of the corpus works, for `Task.write(problem, rng, writer)`.

    skill: probability that the first attempt is right. skill_again: that a further one is, as who
    has failed found the problem hard; None: as `skill`. careless: probability that a wrong attempt
    is nevertheless accepted. reflects: whether a rejected attempt is followed by another one, never
    one that was made before, until one is accepted or `longest` attempts are made; who does not
    reflect gives the rejected attempt as the answer.
    """

    skill: float = 0.4
    careless: float = 0.05
    reflects: bool = False
    longest: int = 8
    skill_again: float | None = None

    def chance(self, attempts: int) -> float:
        """Probability that the next attempt is right, after so many.

        >>> [Writer(skill=0.5, skill_again=0.3).chance(n) for n in (0, 1, 2)], Writer(skill=0.5).chance(1)
        ([0.5, 0.3, 0.3], 0.5)
        """
        return self.skill if not attempts or self.skill_again is None else self.skill_again

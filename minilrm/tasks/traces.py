"""Traces: a completion read as a series of attempts, each with the writer's own verdict on it.

A task on which reflection can be measured is a `TracedTask`. It writes its work in a small grammar:

    trace      =  attempt { NEWLINE "wait, " attempt } NEWLINE answer
    attempt    =  steps and a check of the task's own, then " ok" or " no"

It parses a completion into a `Trace` (`parse_trace`), and judges each attempt exactly
(`attempt_right`), whatever its writer says of it. `reflection/` counts.
"""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

from minilrm.tasks.base import Problem, Task

REFLECTION_WORD = "wait"
ACCEPT, REJECT = "ok", "no"
AGAIN = f"\n{REFLECTION_WORD}, "  # between two attempts


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
    """How one person of the corpus works, for `TracedTask.write(problem, rng, writer)`.

    skill: probability that the first attempt is right. skill_again: that a further one is, since a
    problem on which one has failed is a hard one; None: as `skill`. careless: probability that a
    wrong attempt is nevertheless accepted. reflects: whether a rejected attempt is followed by
    another one, never one that was made before, until one is accepted or `longest` attempts are
    made; a writer who does not reflect gives the rejected attempt as the answer.
    """

    skill: float = 0.4
    careless: float = 0.05
    reflects: bool = False
    longest: int = 8
    skill_again: float | None = None

    def chance(self, attempts: int) -> float:
        """Probability that the next attempt is right, after so many.

        >>> [Writer(skill=0.5, skill_again=0.3).chance(n) for n in (0, 1, 2)]
        [0.5, 0.3, 0.3]
        >>> Writer(skill=0.5).chance(1)
        0.5
        """
        return self.skill if not attempts or self.skill_again is None else self.skill_again


class TracedTask(Task):
    """A task whose completions are traces: it can write them, right or wrong, read them back, and
    judge each attempt. Its corpus is pages of people who try."""

    corpus = "attempts"
    #: how the people of the corpus work
    writer = Writer()

    def write(self, problem: Problem, rng: random.Random, writer: Writer) -> str:
        """What this writer puts down for a problem, right or wrong."""
        raise NotImplementedError

    def parse_trace(self, text: str) -> Trace:
        """The attempts of a completion. Total: any string parses, at once."""
        raise NotImplementedError

    def attempt_right(self, problem: Problem, attempt: Attempt) -> bool:
        """Whether an attempt solves the problem: exact, whatever its writer says of it."""
        raise NotImplementedError

    def fails_check(self, problem: Problem, attempt: Attempt) -> bool:
        """Whether the check that a writer has at hand, done with care, says no to what stands
        there. It may see less than `attempt_right` does, and never fails a right attempt."""
        return not self.attempt_right(problem, attempt)

    def thinks(self, completion: str) -> bool:
        """Whether there is an attempt before the answer."""
        return bool(self.parse_trace(completion).attempts)


def read_attempts(
    text: str,
    lead: re.Pattern[str],
    read_attempt: Callable[[str, int], Attempt | None],
    is_answer: Callable[[str, int], bool],
) -> Trace:
    """A completion as a trace: attempt after attempt, up to where none can be read or one has no
    verdict.

    lead: what may stand before an attempt, however badly written; its group 1 is the reflection
    word. An attempt that is led by anything but " " (the first) or AGAIN (the others) counts too,
    but then the trace is not well-formed. read_attempt(text, start): the attempt that starts there.
    is_answer(text, start): whether the rest of the text is the answer.
    """
    attempts: list[Attempt] = []
    reflections, at, expected, well_led = 0, 0, " ", True
    while not attempts or attempts[-1].accepted is not None:
        led = lead.match(text, at)
        attempt = read_attempt(text, led.end()) if led else None
        if led is None or attempt is None:
            break
        attempts.append(attempt)
        reflections += led[1] is not None
        well_led = well_led and led[0] == expected
        at, expected = attempt.end, AGAIN
    decided = not attempts or attempts[-1].accepted is not None
    return Trace(tuple(attempts), reflections, well_led and decided and is_answer(text, at))

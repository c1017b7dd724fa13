"""Rewards for the manner of an answer: one language, no repetition, no needless length.

    language      words of the prompt's language / words of either     (DeepSeek-R1, 2501.12948v2)
    one-language  1 where no word is of the other language, else 0     the strict variant
    repetition    -(1 - different / all) of the runs of three words    in [-1, 0]
    length        short right answers above long ones of their group   (Kimi k1.5, 2501.12599)

Which words are English and which Spanish, the task's own solved training problems tell. What both
have (digits, operators, "no") and what neither has (names, made-up things) is neutral. So is what
the question itself says: an answer may quote it.
"""

import functools
import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from minilrm.tasks import Task, get_task
from minilrm.tasks.frames import language as language_of

Episode = Any  # a `rollout.Episode`; this room stands beside that one
WORD = re.compile(r"[^\W\d_]+")
READ, OFTEN = 600, 3  # solved problems that are read, and how often a word has to come


# -- languages -------------------------------------------------------------------------------------


@functools.cache
def words_of(task_name: str) -> Mapping[str, frozenset[str]]:
    """language -> the words that the task's solutions use in it and in no other one.

    A word counts that comes up in several problems: a name or thing that was made up does not.
    """
    task, seen = get_task(task_name), {"en": Counter[str](), "es": Counter[str]()}
    for i in range(READ):
        rng = random.Random(f"words/{i}")
        problem = task.sample(rng, "train")
        style = rng.choice(("steps", "plan_verify"))
        text = f"{problem.prompt}\n{task.solution(problem, rng, style)}"
        seen[language_of(problem)].update(set(words(text)))
    often = {name: {w for w, n in of.items() if n >= OFTEN} for name, of in seen.items()}
    return {"en": frozenset(often["en"] - often["es"]), "es": frozenset(often["es"] - often["en"])}


def words(text: str) -> list[str]:
    """The words of a text in small letters.

    >>> words("Ana has <<3+4=7>>7 apples.")
    ['ana', 'has', 'apples']
    """
    return [word.lower() for word in WORD.findall(text)]


def mixture(task: Task, e: Episode) -> tuple[int, int]:
    """How many words of an answer are of its question's language, and how many of the other one.

    What is neutral counts in neither. A word of the other language that the question has, too, is a
    quotation.
    """
    own_name = language_of(e.problem)
    lists = words_of(task.name)
    own, other = (
        lists[own_name],
        lists["es" if own_name == "en" else "en"] - set(words(e.problem.prompt)),
    )
    said = words(e.text)
    return sum(word in own for word in said), sum(word in other for word in said)


def shares(episodes: Sequence[Episode]) -> list[float]:
    """Of each answer, the share of its words that are of its question's language; 0 where it has
    none: an empty thinking is no clean one."""
    found = []
    for e in episodes:
        own, other = mixture(get_task(e.problem.task), e)
        found.append(own / (own + other) if own + other else 0.0)
    return found


def one_language(episodes: Sequence[Episode]) -> list[float]:
    """1 where all words are of the question's language, 0 where one is not, and where there are
    none."""
    return [float(share == 1.0) for share in shares(episodes)]


# -- repetition and length -------------------------------------------------------------------------


def repetition(episodes: Sequence[Episode], n: int = 3) -> list[float]:
    """-(1 - different / all) over the runs of `n` words, numbers and signs among them: 0 where none
    comes twice, nearly -1 where one comes for ever."""
    found = []
    for e in episodes:
        said = re.findall(r"\w+|[^\w\s]", e.text)
        runs = [tuple(said[i : i + n]) for i in range(len(said) - n + 1)]
        found.append(len(set(runs)) / len(runs) - 1 if runs else 0.0)
    return found


def length(episodes: Sequence[Episode]) -> list[float]:
    """Kimi k1.5's length reward: within the answers to one problem,

        0.5 - (length - shortest) / (longest - shortest)     if right
        the lesser of that and 0                             if wrong

    and 0 where all are equally long. Wrong answers earn nothing for being short.
    """
    groups: dict[int, list[Episode]] = {}
    for e in episodes:
        groups.setdefault(id(e.problem), []).append(e)
    ends = {
        name: (min(e.length for e in group), max(e.length for e in group))
        for name, group in groups.items()
    }
    found = []
    for e in episodes:
        low, high = ends[id(e.problem)]
        value = 0.5 - (e.length - low) / (high - low) if high > low else 0.0
        found.append(value if e.grade.correct else min(0.0, value))
    return found

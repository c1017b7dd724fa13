"""What becomes of tools: how often a policy calls one, when, and what it says without.

    figures(task, episodes) ->
        calls       calls per answer
        call_rate   share of answers with a call; `by_level`: for each level of difficulty
        errors      share of calls that failed
        forged      share of answers in which the model wrote a result itself
        made_up     share of the answers that should be a fact, and are one that nobody told

The price of a call, `charge_calls`, is taken from the reward.
"""

from collections.abc import Callable, Sequence
from typing import Any

from minilrm.intervals import mean
from minilrm.options import option
from minilrm.rollout import Episode
from minilrm.tasks import Task
from minilrm.tools.calls import RESULT_TAGS
from minilrm.tools.named import NAMES

Groups = Sequence[Sequence[Episode]]


def tools_option() -> Any:
    return option(
        None,
        f"what the model may call while it writes, of {', '.join(NAMES)}; with commas between",
        group="tools",
    )


def database_option() -> Any:
    help = "SQLite file of the tool database; the task's own if not given"
    return option(None, help, group="tools")


def figures(task: Task, episodes: Sequence[Episode]) -> dict[str, Any]:
    """The figures in the head of this file; a share of nothing is None. `n` stands beside each rate
    that is not of all answers."""
    calls = [call for e in episodes for call in e.calls]
    answers = [task.made_up(e.problem, e.text) for e in episodes]
    facts = [made_up for made_up in answers if made_up is not None]
    levels = sorted({task.level(e.problem) for e in episodes})
    by_level = {}
    for level in levels:
        of = [e for e in episodes if task.level(e.problem) == level]
        by_level[level] = {
            "call_rate": share(of, lambda e: bool(e.calls)),
            "calls": mean([len(e.calls) for e in of]),
            "accuracy": share(of, lambda e: e.grade.correct),
            "n": len(of),
        }
    return {
        "calls": mean([len(e.calls) for e in episodes]),
        "call_rate": share(episodes, lambda e: bool(e.calls)),
        "by_level": by_level,
        "errors": share(calls, lambda call: call.failed),
        "calls_n": len(calls),
        "forged": share(episodes, forged),
        "made_up": share(facts, bool),
        "facts_n": len(facts),
    }


def share(of: Sequence[Any], holds: Callable[[Any], bool]) -> float | None:
    return mean([holds(it) for it in of]) if of else None


def forged(episode: Episode) -> bool:
    """Whether the model wrote a result itself."""
    return any(tag in episode.text for tag in RESULT_TAGS)


def live(task: Task, groups: Groups) -> dict[str, float | None]:
    """The figures of a batch under the names of the log, one number each."""
    found = figures(task, [e for group in groups for e in group])
    rates = {
        f"tools/call_rate/level-{level}": of["call_rate"] for level, of in found["by_level"].items()
    }
    names = ("calls", "call_rate", "errors", "forged", "made_up")
    return {**{f"tools/{name}": found[name] for name in names}, **rates}


def charge_calls(groups: Groups, price: float) -> None:
    """Take the price of each call from the rewards."""
    for e in (e for group in groups for e in group):
        e.reward -= price * len(e.calls)

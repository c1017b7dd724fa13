"""The tasks: supplies of problems with exact graders. `get_task(name, **options)` makes one."""

import difflib
import importlib
import inspect
from typing import Any

from minilrm.errors import UserError
from minilrm.tasks.base import Grade, Problem, Task, split_of
from minilrm.tasks.traces import TracedTask

__all__ = [
    "FILE_TASK",
    "TASKS",
    "Grade",
    "Problem",
    "Task",
    "TracedTask",
    "get_task",
    "register",
    "split_of",
    "task_class",
    "traced_tasks",
]

GYM = "gym:"  # what a task of the package reasoning-gym is called, and its name behind


class Registry(dict[str, str | type[Task]]):
    """The tasks by name. It also has every name that begins with "gym:", without listing them:
    whether there is such a task is seen when it is asked for (`gym.py`)."""

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (isinstance(name, str) and name.startswith(GYM))


#: name -> its class, or where that stands, "module:class". Modules are imported when asked for, so
#: that one task costs nothing to the others. `register` adds to it, and every command looks here.
TASKS: dict[str, str | type[Task]] = Registry(
    {
        "arithmetic": "minilrm.tasks.arithmetic:Arithmetic",
        "general": "minilrm.tasks.general:General",
        "gsm8k": "minilrm.tasks.gsm8k:GSM8K",
        "gsm8k-mini": "minilrm.tasks.gsm8k_mini:GSM8KMini",
        "bilingual": "minilrm.tasks.bilingual:Bilingual",
        "stories": "minilrm.tasks.stories:Stories",
        "logic": "minilrm.tasks.logic:Logic",
        "ledger": "minilrm.tasks.ledger:Ledger",
        "countdown": "minilrm.tasks.countdown:Countdown",
        "countdown-4": "minilrm.tasks.countdown4:Countdown4",
        "multiplication": "minilrm.tasks.multiplication:Multiplication",
        "program": "minilrm.tasks.program:Program",
        "reasoning": "minilrm.tasks.reasoning:Reasoning",
        "long-sums": "minilrm.tasks.tooled:Sums",
        "prices": "minilrm.tasks.tooled:Prices",
        "loops": "minilrm.tasks.tooled:Loops",
        "tools": "minilrm.tasks.tooled:Tools",
    }
)

FILE_TASK = "gsm8k"  # of a user's own file, where no task is named


def register(cls: type[Task]) -> type[Task]:
    """Make a task known to every command, by its name. Also a decorator of its class."""
    TASKS[cls.name] = cls
    return cls


def get_task(name: str, **options: Any) -> Task:
    """The task of that name. An option left at None is as if not given.

    >>> get_task("arithmetic", max_digits=4).name
    'arithmetic'
    >>> get_task("aritmetic")  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    UserError: no task is called 'aritmetic'; did you mean arithmetic? There are: arithmetic, ...
    """
    cls = task_class(name)
    given = {option: value for option, value in options.items() if value is not None}
    known = inspect.signature(cls).parameters
    for option in given:
        if option not in known:
            raise UserError(
                f"the task {name!r} has no option {option!r}; it has: {', '.join(known) or 'none'}"
            )
    if cls.reads_file and "data" not in given:
        raise UserError(
            f"{name} is a data set of your own: name its file with --data FILE (JSON lines with "
            '"question" and "answer")'
        )
    return cls(**given)


def task_class(name: str) -> type[Task]:
    """The class of a task. UserError for a name that is not known."""
    if name not in TASKS:
        near = difflib.get_close_matches(name, TASKS, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}?" if near else "."
        raise UserError(f"no task is called {name!r}{hint} There are: {', '.join(TASKS)}")
    if name.startswith(GYM):
        return importlib.import_module("minilrm.tasks.gym").gym_task(name)
    entry = TASKS[name]
    if isinstance(entry, str):
        module, cls = entry.split(":")
        return getattr(importlib.import_module(module), cls)
    return entry


def traced_tasks() -> list[str]:
    """The names of the tasks on which reflection can be measured."""
    return [name for name in TASKS if issubclass(task_class(name), TracedTask)]

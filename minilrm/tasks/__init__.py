"""The tasks: supplies of problems with exact graders. `get_task(name, **options)` makes one."""

import difflib
import importlib
import inspect

from minilrm.errors import UserError
from minilrm.tasks.base import Grade, Problem, Task, split_of

__all__ = ["TASKS", "Grade", "Problem", "Task", "get_task", "split_of", "task_class"]

#: name -> "module:class". Modules are imported when asked for, so that one task costs nothing to
#: the others.
TASKS = {
    "arithmetic": "minilrm.tasks.arithmetic:Arithmetic",
    "general": "minilrm.tasks.general:General",
    "gsm8k": "minilrm.tasks.gsm8k:GSM8K",
    "gsm8k-mini": "minilrm.tasks.gsm8k_mini:GSM8KMini",
    "countdown": "minilrm.tasks.countdown:Countdown",
    "multiplication": "minilrm.tasks.multiplication:Multiplication",
}


def get_task(name: str, **options) -> Task:
    """The task of that name. An option left at None is as if not given.

    >>> get_task("arithmetic", max_digits=4).name
    'arithmetic'
    >>> get_task("aritmetic")  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    UserError: no task is called 'aritmetic'; did you mean arithmetic? There are: arithmetic, general, ...
    """
    cls = task_class(name)
    given = {option: value for option, value in options.items() if value is not None}
    known = inspect.signature(cls).parameters
    for option in given:
        if option not in known:
            raise UserError(
                f"the task {name!r} has no option {option!r}; it has: {', '.join(known) or 'none'}"
            )
    return cls(**given)


def task_class(name: str) -> type[Task]:
    if name not in TASKS:
        near = difflib.get_close_matches(name, TASKS, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}?" if near else "."
        raise UserError(f"no task is called {name!r}{hint} There are: {', '.join(TASKS)}")
    module, cls = TASKS[name].split(":")
    return getattr(importlib.import_module(module), cls)

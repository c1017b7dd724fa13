"""The tools of a batch of problems: what `--tools` means in training and in evaluation.

    tools = Toolbox(["calculator", "database"], get_task("prices"))
    hook = tools.hook(tokenizer, problems, n=8)
    generate(model, tokenizer, prompts, n=8, max_new_tokens=144, intervene=hook)
    hook.made(3)        # the calls of the fourth completion of the first problem

Each problem is answered with the database that its question refers to (`Task.database`), so that
training, validation and test can have tables of their own.
"""

import functools
from collections.abc import Sequence
from pathlib import Path

from minilrm.errors import UserError
from minilrm.tasks.base import Problem, Task
from minilrm.tools.calculator import calculate
from minilrm.tools.calls import Call, Tokens, ToolCalls
from minilrm.tools.database import Database
from minilrm.tools.named import names_in
from minilrm.tools.sandbox import run, run_code
from minilrm.tools.tool import Tool, ToolFailed

REMEMBERED = 10_000  # texts of a tool


class Toolbox:
    """The tools of these names for problems of a task. database: for all problems, instead of the
    task's own.

    UserError where the database is wanted and there is none, where the file is none, and where this
    machine cannot shut the code sandbox's programs in.
    """

    def __init__(self, names: Sequence[str], task: Task, database: Path | None = None):
        self.names, self.task, self.database = tuple(names), task, database
        if "database" in names and database is None and "database" not in task.tools:
            raise UserError(
                f"the tool database needs a SQLite file, and {task.name} brings none: name it with "
                "--database FILE"
            )
        if database is not None:
            if "database" not in names:
                raise UserError("--database is of the tool database: --tools database")
            self.opened(database)
        if "code" in names:
            run("print()")  # or every call would be answered by the same refusal
        self.calculate, self.run_code = remembering(calculate), remembering(run_code)

    @functools.cache  # noqa: B019 - a toolbox lives as long as its run
    def opened(self, path: Path) -> Tool:
        return remembering(Database(path))

    def of(self, path: Path | None) -> dict[str, Tool]:
        """The tools by name, with the database in that file."""
        tools: dict[str, Tool] = {}
        for name in self.names:
            if name == "calculator":
                tools[name] = self.calculate
            elif name == "code":
                tools[name] = self.run_code
            elif path is not None:
                tools[name] = self.opened(path)
        return tools

    def hook(self, tokenizer: Tokens, problems: Sequence[Problem], n: int = 1) -> "ProblemCalls":
        """The `intervene` hook for `n` completions of each problem."""
        special, by_file = self.task.special_tokens, dict[Path | None, ToolCalls]()
        hooks = []
        for problem in problems:
            path = self.database or self.task.database(problem)
            if path not in by_file:
                by_file[path] = ToolCalls(tokenizer, self.of(path), special=special)
            hooks.append(by_file[path])
        return ProblemCalls(hooks, n)


class ProblemCalls:
    """A `ToolCalls` for each problem; rows `n` * i to `n` * i + n - 1 are of problem i."""

    def __init__(self, hooks: Sequence[ToolCalls], n: int):
        self.hooks, self.n = hooks, n

    def __call__(self, row: int, ids: list[int]) -> list[int] | None:
        return self.hooks[row // self.n](row, ids)

    def made(self, row: int) -> list[Call]:
        """The calls of a row, in order."""
        return self.hooks[row // self.n].made(row)


def toolbox(names: str | None, database: Path | None, task: Task) -> Toolbox | None:
    """The toolbox that `--tools` and `--database` mean; None: no tools."""
    if names is None and database is None:
        return None
    return Toolbox(names_in(names), task, database)


def remembering(tool: Tool) -> Tool:
    """The same tool, which runs once for each text: the completions of a group ask the same again
    and again, and the tools here give the same answer to the same text."""

    @functools.lru_cache(maxsize=REMEMBERED)
    def answer(argument: str) -> tuple[str, str | None]:
        try:
            return tool(argument), None
        except ToolFailed as failure:
            return "", str(failure)

    def remembered(argument: str) -> str:
        said, failure = answer(argument)
        if failure is not None:
            raise ToolFailed(failure)
        return said

    return remembered

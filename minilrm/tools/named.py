"""The tools that a command can name: `--tools calculator,database,code`."""

import difflib
from pathlib import Path

from minilrm.errors import UserError
from minilrm.tools.calculator import calculate
from minilrm.tools.database import Database
from minilrm.tools.sandbox import run_code
from minilrm.tools.tool import Tool

NAMES = ("calculator", "database", "code")


def names_in(text: str | None) -> list[str]:
    """The names of a list with commas. UserError for one that is not known.

    >>> names_in("calculator, code"), names_in(None)
    (['calculator', 'code'], [])
    """
    names = [name.strip() for name in (text or "").split(",")] if text is not None else []
    for name in names:
        if name not in NAMES:
            near = difflib.get_close_matches(name, NAMES, n=1)
            hint = f"; did you mean {near[0]}?" if near else "."
            raise UserError(f"no tool is called {name!r}{hint} There are: {', '.join(NAMES)}")
    return list(dict.fromkeys(names))


def named_tools(text: str | None, database: Path | None) -> dict[str, Tool]:
    """The tools of such a list, by name. UserError where the database is wanted and no file is
    named, or the other way round, or the file is none."""
    names = names_in(text)
    if "database" in names and database is None:
        raise UserError("the tool database needs a SQLite file: name it with --database FILE")
    if database is not None and "database" not in names:
        raise UserError("--database is of the tool database: --tools database")
    tools: dict[str, Tool] = {}
    for name in names:
        if name == "database":
            assert database is not None
            tools[name] = Database(database)
        else:
            tools[name] = calculate if name == "calculator" else run_code
    return tools

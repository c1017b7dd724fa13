"""Tools that a model calls while it writes.

calls.py        the hook of `generate` that finds a call, runs the tool, inserts the result
calculator.py   exact arithmetic
database.py     questions to a SQLite file
sandbox.py      a Python program in a process of its own; jail.py is its inner side, filters.py the
                filter of its system calls and of its files
named.py        the tools that a command can name

What each of them protects against, and what not: SECURITY.md.
"""

from minilrm.tools.calculator import calculate
from minilrm.tools.calls import Call, ToolCalls
from minilrm.tools.database import Database
from minilrm.tools.named import named_tools
from minilrm.tools.sandbox import run_code
from minilrm.tools.tool import Tool, ToolFailed

__all__ = [
    "Call",
    "Database",
    "Tool",
    "ToolCalls",
    "ToolFailed",
    "calculate",
    "named_tools",
    "run_code",
]

"""Tools that a model calls while it writes.

calls.py        the hook of `generate` that finds a call, runs the tool, inserts the result
calculator.py   exact arithmetic
database.py     questions to a SQLite file
sandbox.py      a Python program in a process of its own; jail.py is its inner side, filters.py the
                filter of its system calls and of its files
named.py        the tools that a command can name
box.py          the tools of a batch of problems, each with the database of its question
masks.py        which tokens of a text a tool inserted

What each of them protects against, and what not: SECURITY.md.
"""

from minilrm.tools.box import ProblemCalls, Toolbox, toolbox
from minilrm.tools.calculator import calculate
from minilrm.tools.calls import Call, ToolCalls
from minilrm.tools.database import Database
from minilrm.tools.masks import inserted, sampled_mask
from minilrm.tools.named import named_tools
from minilrm.tools.sandbox import run_code
from minilrm.tools.tool import Tool, ToolFailed

__all__ = [
    "Call",
    "Database",
    "ProblemCalls",
    "Tool",
    "ToolCalls",
    "ToolFailed",
    "Toolbox",
    "calculate",
    "inserted",
    "named_tools",
    "run_code",
    "sampled_mask",
    "toolbox",
]

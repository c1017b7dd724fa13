"""The database: a SQLite file that can be asked and not changed.

    prices = Database("shop.sqlite")
    prices("SELECT price FROM goods WHERE name = 'pen'")      # "price\\n12"

Four bounds, each on its own: the file is opened read-only; an authorizer refuses all but SELECT,
reading and a list of harmless functions (no ATTACH, no PRAGMA, no recursion, no extension); a
progress handler stops a query after so many steps of SQLite's machine, and after so many seconds;
rows, cells and the whole text are of bounded length.
"""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from minilrm.errors import UserError
from minilrm.tools.tool import ToolFailed, cut

MOST_ROWS = 10
LONGEST_CELL = 60  # characters
LONGEST_TEXT = 400
MOST_STEPS = 1_000_000  # of SQLite's virtual machine: about a tenth of a second
MOST_SECONDS = 2.0
STEPS_BETWEEN_LOOKS = 1000

FUNCTIONS = frozenset(
    "abs avg coalesce count glob ifnull instr length like lower max min nullif round substr "
    "substring sum total trim upper".split()
)
LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: 100_000,  # bytes of a value or a row
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 2000,
    sqlite3.SQLITE_LIMIT_COLUMN: 50,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 50,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 5,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 10_000,  # of the compiled query
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 10,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 100,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}


class Database:
    """The tool of one file. Each query has a connection of its own, so none leaves a trace.

    UserError where the file is no database.
    """

    def __init__(self, path: str | Path, most_steps: int = MOST_STEPS):
        self.path, self.most_steps = Path(path), most_steps
        if not self.path.is_file():
            raise UserError(f"{path}: there is no such database; name a SQLite file")
        try:
            with closing(self.connect()) as connection:
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error as error:
            raise UserError(f"{path} is no SQLite database ({error})") from error

    def connect(self) -> sqlite3.Connection:
        # `immutable`: no lock, no journal, no file beside it, even where the folder is writable.
        address = self.path.resolve().as_uri() + "?mode=ro&immutable=1"
        connection = sqlite3.connect(address, uri=True, isolation_level=None)
        for limit, bound in LIMITS.items():
            connection.setlimit(limit, bound)
        # A view in a file that nobody vouches for may call nothing that has an effect.
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.set_authorizer(authorize)
        connection.set_progress_handler(Clock(self.most_steps).tick, STEPS_BETWEEN_LOOKS)
        return connection

    def __call__(self, query: str) -> str:
        """The answer to a query as text: the names of the columns, then a row a line.

        ToolFailed for whatever is refused, stopped or misspelt.
        """
        try:
            with closing(self.connect()) as connection:
                cursor = connection.execute(query.strip())
                if cursor.description is None:
                    raise ToolFailed("this is no question; ask with SELECT")
                names = [column[0] for column in cursor.description]
                rows = cursor.fetchmany(MOST_ROWS + 1)
        except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError, MemoryError) as error:
            stopped = str(error) == "interrupted"
            raise ToolFailed("the query takes too long" if stopped else str(error)) from error
        lines = [" | ".join(map(cell, row)) for row in [names, *rows[:MOST_ROWS]]]
        if len(rows) > MOST_ROWS:
            lines.append(f"(more than {MOST_ROWS} rows)")
        return cut("\n".join(lines), LONGEST_TEXT)


class Clock:
    """Counts a query's steps, and its seconds."""

    def __init__(self, most_steps: int):
        self.left = most_steps // STEPS_BETWEEN_LOOKS
        self.end = time.monotonic() + MOST_SECONDS

    def tick(self) -> int:
        """1 stops the query."""
        self.left -= 1
        return int(self.left < 0 or time.monotonic() > self.end)


def authorize(
    action: int, first: str | None, second: str | None, database: str | None, source: str | None
) -> int:
    """SQLite asks for each thing that a query would do, while it compiles it."""
    if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ):
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in FUNCTIONS:
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def cell(value: object) -> str:
    """A value on one line: `cell(None)` is "null"."""
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    text = "null" if value is None else " ".join(str(value).split())
    return cut(text, LONGEST_CELL)

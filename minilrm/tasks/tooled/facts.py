"""The tables that `prices` asks about: what things cost, and how high mountains are that nobody has
ever seen.

    python scripts/make_facts.py        makes them anew: data/facts/*.sqlite

Each table has the same names with other values. Training has six of them, validation and test one
each. A question does not say which table it is about: whoever has learnt the values of one by heart
is wrong on all others. No value stands in two tables, so a value that is remembered from another
table can be told from one that was looked up, and so can nearly all that are invented: of the 900
prices with three digits, 32 stand in a table.
"""

import functools
import random
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from minilrm import machine
from minilrm.errors import UserError

TABLES = {
    "train": tuple(f"train-{i}" for i in range(6)),
    "validation": ("validation",),
    "test": ("test",),
    "ood": ("test",),
}  # of each split
#: names of things and mountains; the last eight of each are asked about in `ood` alone
GOODS = (
    "lamp cup pen chair table book clock hat coat shoe bag box rope knife spoon plate pot pan bed "
    "door lock key bell drum brush comb mirror basket bottle candle ladder tent"
).split()
PEAKS = (
    "Oru Bela Kito Mara Tupa Vero Sani Lumo Rika Dano Fela Zuri Nabo Hesu Pogo Wila "
    "Cado Jeni Ruvo Tika Mosu Lera Gano Biru"
).split()
UNSEEN = 8
COLUMNS = {
    "goods": ("price", GOODS, range(100, 1000)),
    "peaks": ("height", PEAKS, range(1000, 9000)),
}


def seen(kind: str) -> list[str]:
    """The names that training asks about."""
    return COLUMNS[kind][1][:-UNSEEN]


def unseen(kind: str) -> list[str]:
    return COLUMNS[kind][1][-UNSEEN:]


def make(seed: int = 0) -> dict[str, dict[str, dict[str, int]]]:
    """table -> kind -> name -> value, for all tables; no value comes twice."""
    rng = random.Random(f"facts/{seed}")
    names = list(dict.fromkeys(table for tables in TABLES.values() for table in tables))
    made: dict[str, dict[str, dict[str, int]]] = {table: {} for table in names}
    for kind, (_, things, values) in COLUMNS.items():
        drawn = iter(rng.sample(values, len(names) * len(things)))
        for table in names:
            made[table][kind] = {thing: next(drawn) for thing in things}
    return made


def write(folder: Path) -> list[Path]:
    """The tables as SQLite files; any that are there are replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for table, kinds in make().items():
        path = folder / f"{table}.sqlite"
        path.unlink(missing_ok=True)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA page_size = 1024")  # or an empty file would have 4 kB a page
            for kind, values in kinds.items():
                column = COLUMNS[kind][0]
                connection.execute(f"CREATE TABLE {kind} (name TEXT, {column} INTEGER)")
                connection.executemany(f"INSERT INTO {kind} VALUES (?, ?)", values.items())
            connection.commit()
        paths.append(path)
    return paths


def path_of(table: str) -> Path:
    """The file of a table."""
    return machine.data_folder() / "facts" / f"{table}.sqlite"


@functools.cache
def read(table: str) -> Mapping[str, Mapping[str, int]]:
    """kind -> name -> value, as the file of a table has them, in the order of its rows. UserError
    if there is no such file."""
    path = path_of(table)
    try:
        address = path.resolve().as_uri() + "?mode=ro&immutable=1"
        with closing(sqlite3.connect(address, uri=True)) as connection:
            return {
                kind: dict(connection.execute(f"SELECT name, {column} FROM {kind}"))
                for kind, (column, _, _) in COLUMNS.items()
            }
    except sqlite3.Error as error:
        raise UserError(
            f"{path} is no table of facts ({error}); make it anew: python scripts/make_facts.py"
        ) from error

r"""Problems out of files as people have them: `load_problems(path)`.

One problem is an object with fields; `problem_shapes.py` has the table of their names. A file holds
many. It is known by its first bytes, whatever its name:

    JSON lines       one object a line
    JSON array       [{...}, {...}], on one line or on many
    indented JSON    objects one after another, each on many lines
    CSV              one row per problem, under a heading; commas, semicolons or tabs between fields
    gzip             any of these, compressed
    parquet          where the package `datasets` is installed

Text is UTF-8, or UTF-16 with its mark. Anything else is refused with a line that says what it is.
"""

import csv
import gzip
import io
import json
import re
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from minilrm.errors import UserError
from minilrm.tasks.base import Problem
from minilrm.tasks.problem_shapes import QUESTION, read_problem

BLANKS = re.compile(r"[ \t\r\n]*")
NEEDS = 'it needs JSON lines with "question" and "answer"'

GZIP, PARQUET = b"\x1f\x8b", b"PAR1"
FROM_ARROW = 'write JSON lines: datasets.Dataset.from_file(FILE).to_json("my.jsonl")'
#: how other files begin -> (what they are, what to do with them)
FOREIGN = {
    b"PK\x03\x04": ("a zip archive or a spreadsheet", "unpack it, or save the sheet as CSV"),
    b"BZh": ("compressed by bzip2", "decompress it: bunzip2 FILE"),
    b"\xfd7zXZ": ("compressed by xz", "decompress it: unxz FILE"),
    b"\x28\xb5\x2f\xfd": ("compressed by zstd", "decompress it: unzstd FILE"),
    b"ARROW1": ("an Arrow file", FROM_ARROW),
    b"\xff\xff\xff\xff": ("an Arrow stream", FROM_ARROW),
    b"\x80": ("a Python pickle, which is never opened", "write JSON lines where it was made"),
    b"SQLite": ("an SQLite database", "export the table as CSV: sqlite3 -csv -header FILE QUERY"),
    b"%PDF": ("a PDF", "take the text out of it, one JSON object per problem"),
    b"version https://git-lfs": (
        "a pointer of Git LFS, not the file itself",
        "fetch it: git lfs pull",
    ),
    b"<": ("a page of HTML or XML", "download the file itself (on GitHub: Raw)"),
}


def load_problems(path: str | Path, task: str = "gsm8k") -> list[Problem]:
    """All problems of a file, in its order. Whatever is wrong with it is a UserError that names the
    file and the line."""
    path = Path(path).expanduser()
    found = []
    for place, record in records(path):
        try:
            found.append(read_problem(record, task))
        except ValueError as error:
            raise UserError(f"{path}, {place}: {error}") from error
    if not found:
        raise UserError(f"{path} holds no problems; {NEEDS}")
    return found


def records(path: Path) -> Iterator[tuple[str, object]]:
    """What a file holds, piece by piece, each with its place ("line 3")."""
    data = read_bytes(path)
    if data.startswith(PARQUET):
        yield from parquet_rows(path)
        return
    for mark, (kind, remedy) in FOREIGN.items():
        if data[:64].lstrip().startswith(mark):
            raise UserError(f"{path} is {kind}; {remedy}; {NEEDS}")
    text = decode(data, path)
    is_json = text.lstrip()[:1] in ("{", "[", "")
    yield from json_values(text, path) if is_json else csv_rows(text, path)


def read_bytes(path: Path) -> bytes:
    hint = "name a file of problems with --data FILE"
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if data.startswith(GZIP) else data
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{path} is compressed by gzip, and damaged or cut short") from error
    except (OSError, ValueError) as error:  # a name with a null character is a ValueError
        why = getattr(error, "strerror", None) or error
        raise UserError(f"cannot read {path}: {why}; {hint}") from error


def decode(data: bytes, path: Path) -> str:
    """The text of a file, without the byte order mark that some editors write."""
    encoding = "UTF-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "UTF-8"
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}, line {line}: not {encoding} text") from error


def json_values(text: str, path: Path) -> Iterator[tuple[str, object]]:
    """JSON lines where the first line is an object by itself; else an array, or objects on many
    lines each."""
    # Lines end at "\n" only. A question may hold U+2028, where str.splitlines() would cut too.
    lines = [(i, line) for i, line in enumerate(text.split("\n"), 1) if line.strip()]
    if lines and not is_object(lines[0][1]):
        yield from json_stream(text, path)
        return
    for i, line in lines:
        try:
            yield f"line {i}", json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}, line {i}: not JSON; is the line cut short?") from error


def is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def json_stream(text: str, path: Path) -> Iterator[tuple[str, object]]:
    """The elements of an array, or values one after another, wherever their lines break."""

    def bad(at: int, what: str) -> UserError:
        line = text.count("\n", 0, at) + 1
        return UserError(f"{path}, line {line}: {what}")

    decoder = json.JSONDecoder()
    at = after_blanks(text, 0)
    array = text.startswith("[", at)
    at = after_blanks(text, at + array)
    line, counted, entry = 1, 0, 1
    while at < len(text) and not (array and text[at] == "]"):
        line, counted = line + text.count("\n", counted, at), at
        try:
            value, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise bad(error.pos, f"not JSON ({error.msg})") from error
        except (ValueError, RecursionError) as error:
            raise bad(at, "not JSON (nested too deep, or a number is too long)") from error
        yield f"line {line} (entry {entry})", value
        at, entry = after_blanks(text, at), entry + 1
        if array and text.startswith(",", at):
            at = after_blanks(text, at + 1)
        elif array and not text.startswith("]", at):
            raise bad(at, "neither a comma nor ] follows; is the file cut short?")
    if array and at == len(text):
        raise bad(at, "the array is not closed; is the file cut short?")
    if array and text[at + 1 :].strip():
        raise bad(at, "something follows the array; only one array can be read")


def after_blanks(text: str, at: int) -> int:
    blanks = BLANKS.match(text, at)
    return blanks.end() if blanks else at


def csv_rows(text: str, path: Path) -> Iterator[tuple[str, object]]:
    """The rows of a table, each as an object."""
    heading = text.lstrip("\r\n").partition("\n")[0]
    delimiter = max(",;\t", key=heading.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names: list[str] = []
    line = 1
    try:
        for row in reader:
            if not names and row:
                names = [name.strip().casefold() for name in row]
                check_heading(names, path, reader.line_num)
            elif row:
                if len(row) > len(names):
                    raise UserError(
                        f"{path}, line {line}: {len(row)} fields under a heading of {len(names)}; "
                        "quote a field that holds the separator"
                    )
                yield f"line {line}", dict(zip(names, row, strict=False))
            line = reader.line_num + 1
    except csv.Error as error:
        raise UserError(f"{path}, line {line}: no CSV ({error})") from error


def check_heading(names: list[str], path: Path, line: int) -> None:
    """The first row of a table must name a question, else this is no table of problems."""
    if not set(names) & set(QUESTION):
        raise UserError(
            f'{path}, line {line}: neither JSON nor the heading of a CSV file with "question" and '
            f'"answer": {", ".join(names)[:80]!r}'
        )


def parquet_rows(path: Path) -> Iterator[tuple[str, object]]:
    try:
        from datasets import Dataset
    except ImportError as error:
        raise UserError(
            f"{path} is a parquet file: pip install datasets; or, with pandas, write JSON lines: "
            'pandas.read_parquet(FILE).to_json("my.jsonl", orient="records", lines=True)'
        ) from error
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as cache:
        try:
            table = Dataset.from_parquet(str(path), cache_dir=cache, keep_in_memory=True)
        except Exception as error:  # of many kinds, by the package's version
            why = str(error).partition("\n")[0][:200]
            raise UserError(f"{path} cannot be read as parquet: {why}") from error
        for i, row in enumerate(table, 1):
            yield f"row {i}", row

"""A dataclass of options (options.py) -> a command line.

    if __name__ == "__main__":
        run_command(main, Options, prog="python -m minilrm.grpo", description="Reinforcement
        learning from rewards.")

A mistake on the command line is one line on stderr and exit code 2.
"""

import argparse
import contextlib
import dataclasses
import errno
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from minilrm import devices
from minilrm.errors import UserError
from minilrm.options import Shape, check, default_of, flag, nearest, shapes, show

METAVARS = {int: "N", float: "X", str: "TEXT", bool: "BOOL", Path: "PATH"}

# Operating-system errors that the user can mend, and how.
MENDABLE = {
    errno.ENOSPC: "make room on the disk, or choose another folder",
    errno.EACCES: "choose another folder, or change its permissions",
    errno.EPERM: "choose another folder, or change its permissions",
    errno.EROFS: "choose a folder that can be written to",
    errno.ENAMETOOLONG: "choose a shorter name",
}
INTERRUPTED = 130  # 128 + SIGINT: what the shell says of any program that ends so
SECONDS_TO_SPEAK = 10  # how long the other processes wait for the words of number 0
BROKEN_PIPE = 141  # 128 + SIGPIPE


# -- reading a command line ------------------------------------------------------------------------


class OneLineParser(argparse.ArgumentParser):
    """argparse, but a mistake is one line, not a page of usage."""

    def error(self, message: str) -> NoReturn:
        fail(message.removeprefix("argument "))


def help_formatter(prog: str) -> argparse.HelpFormatter:
    """Wider left column than argparse's, so that an option and its help share a line."""
    return argparse.HelpFormatter(prog, max_help_position=36)


def fail(message: str, code: int = 2, alone: bool = False) -> NoReturn:
    """One line on stderr, then exit.

    Of several processes number 0 says it for all, unless this one `alone` knows of it. The others
    give it the time: as soon as one of them ends, torchrun ends all.
    """
    if devices.launched() > 1 and os.environ.get("RANK") != "0" and not alone:
        time.sleep(SECONDS_TO_SPEAK)
        raise SystemExit(code)
    print("error: " + " ".join(message.splitlines()), file=sys.stderr)
    raise SystemExit(code)


def help_text(field: dataclasses.Field) -> str:
    """The help line of an option, with its choices and its default."""
    default = default_of(field)
    notes = []
    if field.metadata.get("choices"):
        notes.append(", ".join(str(choice) for choice in field.metadata["choices"]))
    if default is dataclasses.MISSING:
        notes.append("must be given")
    elif default is not None:
        notes.append(f"default: {show(default)}")
    text = field.metadata.get("help", "") + "".join(f" ({note})" for note in notes)
    return text.strip().replace("%", "%%")  # argparse formats help with %


def build_parser(options_class: type, prog: str, description: str) -> argparse.ArgumentParser:
    """An argparse parser that only collects the texts: turning them into values, with good words,
    is our part."""
    parser = OneLineParser(
        prog=prog,
        description=description,
        allow_abbrev=False,
        formatter_class=help_formatter,
        usage="%(prog)s [options]",
    )
    groups: dict[str | None, Any] = {None: parser}
    known = shapes(options_class)
    for field in dataclasses.fields(options_class):
        if not field.init:
            continue
        heading, shape = field.metadata.get("group"), known[field.name]
        if heading not in groups:
            groups[heading] = parser.add_argument_group(heading)
        metavar = "NAME=X" if shape.container is dict else METAVARS[shape.item]
        extra: dict[str, Any] = {"metavar": metavar}
        if shape.item is bool and not shape.container:
            extra = {"action": argparse.BooleanOptionalAction}
        elif shape.container:
            extra |= {"nargs": "+", "action": "extend"}  # `--checkpoint A --checkpoint B` is two
        groups[heading].add_argument(
            flag(field.name),
            dest=field.name,
            default=argparse.SUPPRESS,
            help=help_text(field),
            **extra,
        )
    return parser


def convert(given: Any, shape: Shape, choices: Any) -> Any:
    """What argparse collected for an option, as the option's value. Lists are given as `1 2 4` or
    `1,2,4`, weights as `accuracy=1 format=0.1`.

    What cannot be read is passed on as text: the checks then say what was expected.
    """
    if isinstance(given, bool):
        return given
    if shape.container:
        words = [part for text in given for part in text.split(",") if part]
        if shape.container is dict:
            pairs = (word.partition("=") for word in words)
            return {name: one_value(number or "1", float) for name, _, number in pairs}
        return shape.container(one_value(word, shape.item) for word in words)
    # Among texts "none" is one like any other, unless there are choices and none of them is called
    # that.
    is_a_text = shape.item is str and not (choices and "none" not in choices)
    if shape.optional and given.lower() == "none" and not is_a_text:
        return None
    return one_value(given, shape.item)


def one_value(text: str, kind: type) -> Any:
    """A text from the command line as a value of this kind, or as it is where it cannot be read."""
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower(), text)
    try:
        return kind(text)
    except ValueError:
        return text


def parse(
    options_class: type, argv: Sequence[str] | None = None, *, prog: str, description: str
) -> Any:
    """The options as given in `argv` (default: the command line). A mistake is one line on stderr
    and exit code 2."""
    given, unknown = build_parser(options_class, prog, description).parse_known_args(argv)
    known = shapes(options_class)
    if unknown:
        word = unknown[0].split("=")[0]
        what = "unknown option" if word.startswith("-") else "no option belongs to"
        close = nearest(word.lstrip("-").replace("_", "-"), [flag(name)[2:] for name in known])
        fail(f"{what} {word}{close.replace('mean ', 'mean --')} (--help lists all)")
    fields = {field.name: field for field in dataclasses.fields(options_class)}
    for name in known:
        if name not in given and default_of(fields[name]) is dataclasses.MISSING:
            fail(f"{flag(name)} must be given: {fields[name].metadata.get('help', '')}")
    values = {
        name: convert(value, known[name], fields[name].metadata.get("choices"))
        for name, value in vars(given).items()
    }
    try:
        options = options_class(**values)
        check(options)
    except UserError as error:
        fail(str(error))
    return options


# -- running a command -----------------------------------------------------------------------------


def open_closed_streams() -> None:
    """Python has None in the place of a stream that was closed before it began (`>&-`, pythonw):
    nothing is read there, and what is written goes nowhere."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))


def escape_what_cannot_be_shown() -> None:
    """A character outside the console's encoding (a name, a folder, a model's text, under Windows'
    code pages) is printed as its escape (`\\u0141`), on stdout as on stderr, and is no error."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a notebook's streams have none, and show all
            stream.reconfigure(errors="backslashreplace")


def silence_stdout() -> None:
    """After the reader of our output has gone: what is still to be flushed goes nowhere, without a
    complaint."""
    # stdout may be no real file: then there is nothing to flush
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run_command(
    function: Callable[[Any], int | None],
    options_class: type,
    argv: Sequence[str] | None = None,
    *,
    prog: str,
    description: str | None,
    first: str | None = None,
) -> None:
    """Parse the command line and call `function(options)`, whose answer is the exit code (None: 0).

    `first`="run": `report RUN` is short for `report --run RUN`. What the user can mend ends with
    one line and exit code 2, Ctrl-C with 130; any other exception is a mistake of ours and keeps
    its traceback.
    """
    open_closed_streams()
    escape_what_cannot_be_shown()
    words = list(sys.argv[1:] if argv is None else argv)
    if first and words and not words[0].startswith("-"):
        words.insert(0, f"--{first}")
    try:
        if devices.launched() > 1 and not getattr(options_class, "several", False):
            raise UserError(
                f"torchrun shares the training commands among processes, not {prog}: start this "
                "one without it"
            )
        code = function(parse(options_class, words, prog=prog, description=description or ""))
        sys.stdout.flush()
    except UserError as error:
        fail(str(error), alone=isinstance(error, devices.Lost))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None
    except BrokenPipeError:  # as in `... | head`
        silence_stdout()
        raise SystemExit(BROKEN_PIPE) from None
    except OSError as error:
        if error.errno not in MENDABLE:
            raise
        where = f" ({error.filename})" if error.filename else ""
        fail(f"{error.strerror}{where}: {MENDABLE[error.errno]}")
    if code:
        raise SystemExit(code)

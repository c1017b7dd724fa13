"""A dataclass of options -> a command line.

A command declares its options once, as a dataclass; from it come the parser, the `--help`, the
checks, the table that is printed at the start and the JSON that is saved with the run:

    @dataclass
    class Options:
        task: str = option("countdown", "which problems to learn", choices=("countdown", "ledger"))
        steps: int = option(100, "optimizer steps", minimum=1) lr: float | None = option(None,
        "learning rate; the scale's own if not given", exclusive_minimum=0)

    if __name__ == "__main__":
        run_command(main, Options, prog="python -m minilrm.grpo", description="Reinforcement
        learning from rewards.")

The types are int, float, str, bool, Path, lists and tuples of these, and `X | None`. A mistake on
the command line is one line on stderr and exit code 2.
"""

import argparse
import contextlib
import dataclasses
import difflib
import errno
import math
import os
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from minilrm.errors import UserError

KINDS = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    Path: "a path",
}
GIVEN = "_given"  # the attribute in which options remember what the command line named
METAVARS = {int: "N", float: "X", str: "TEXT", bool: "BOOL", Path: "PATH"}

# Operating-system errors that the user can mend, and how.
MENDABLE = {
    errno.ENOSPC: "make room on the disk, or choose another folder",
    errno.EACCES: "choose another folder, or change its permissions",
    errno.EPERM: "choose another folder, or change its permissions",
    errno.EROFS: "choose a folder that can be written to",
}


# -- declaring options -----------------------------------------------------------------------------


def option(
    default: Any,
    help: str,
    *,
    choices: Iterable[Any] | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    exclusive_minimum: float | None = None,
    finite: bool = True,
    group: str | None = None,
) -> Any:
    """A dataclass field with what the command line needs to know about it.

    `default` may be `dataclasses.MISSING`: then the option must be given. `finite=False` lets NaN
    and infinities pass. `group` is the heading under which `--help` shows the option. Ranges and
    choices hold for each item of a list.
    """
    metadata = {
        "help": help,
        "choices": None if choices is None else tuple(choices),
        "minimum": minimum,
        "maximum": maximum,
        "exclusive_minimum": exclusive_minimum,
        "finite": finite,
        "group": group,
    }
    # one list for each instance, or a change to one would change them all
    if isinstance(default, list):
        return dataclasses.field(default_factory=lambda: list(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Shape:
    """The type of an option, taken apart: `list[int] | None` is int, list, may be None."""

    item: type
    container: type | None = None
    optional: bool = False


def shape_of(annotation: Any) -> Shape:
    """Take an annotation apart. An annotation that no command line can fill is a mistake of the
    programmer."""
    optional = False
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        parts = [part for part in typing.get_args(annotation) if part is not type(None)]
        optional = len(parts) < len(typing.get_args(annotation))
        annotation = parts[0] if len(parts) == 1 else None
    container = typing.get_origin(annotation)
    if container in (list, tuple):
        annotation = typing.get_args(annotation)[0]
    elif annotation in (list, tuple):
        container, annotation = annotation, str
    if annotation not in KINDS:
        raise TypeError(f"cannot make a command-line option of the type {annotation!r}")
    return Shape(annotation, container, optional)


def shapes(options_class: type) -> dict[str, Shape]:
    """The shape of every option, by field name."""
    hints = typing.get_type_hints(options_class)
    return {
        field.name: shape_of(hints[field.name])
        for field in dataclasses.fields(options_class)
        if field.init
    }


def flag(name: str) -> str:
    """`max_new_tokens` -> `--max-new-tokens`."""
    return "--" + name.replace("_", "-")


def default_of(field: dataclasses.Field) -> Any:
    """A field's default, or MISSING."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


# -- checking values -------------------------------------------------------------------------------


def nearest(word: str, words: Iterable[str]) -> str:
    """`; did you mean X?` for a word close to one of `words`, else nothing."""
    close = difflib.get_close_matches(word, list(words), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def has_type(value: Any, kind: type) -> bool:
    """True if a value set in Python may stand for an option of this kind. True and False are no
    numbers here."""
    if kind in (int, float):
        return isinstance(value, (int, float) if kind is float else int) and not isinstance(
            value, bool
        )
    return isinstance(value, (str, Path) if kind is Path else kind)


def problem_with(value: Any, kind: type, rules: Mapping[str, Any]) -> str | None:
    """What is wrong with one value, as the end of a sentence; None if nothing is."""
    if not has_type(value, kind):
        return f"must be {KINDS[kind]}, not {value!r:.60}"
    choices = rules.get("choices")
    if choices is not None and value not in choices:
        known = ", ".join(str(choice) for choice in choices)
        return f"cannot be {value!r:.60}{nearest(str(value), map(str, choices))} (choices: {known})"
    if isinstance(value, float) and rules.get("finite", True) and not math.isfinite(value):
        return f"must be a finite number, not {value}"
    # NaN, where it is let pass, compares as False with everything: ask what is wrong, not what is
    # right.
    low, high, above = rules.get("minimum"), rules.get("maximum"), rules.get("exclusive_minimum")
    if low is not None and value < low:
        return f"must be at least {low}, not {value}"
    if above is not None and value <= above:
        return f"must be above {above}, not {value}"
    if high is not None and value > high:
        return f"must be at most {high}, not {value}"
    return None


def first_problem(options: Any) -> tuple[str, str] | None:
    """(field name, what is wrong) for the first option out of order."""
    known = shapes(type(options))
    for field in dataclasses.fields(options):
        if not field.init:
            continue
        value, shape = getattr(options, field.name), known[field.name]
        if value is None and shape.optional:
            continue
        if shape.container and not isinstance(value, (list, tuple)):
            return field.name, f"must be a list, not {value!r:.60}"
        for item in value if shape.container else [value]:
            problem = problem_with(item, shape.item, field.metadata)
            if problem:
                return field.name, problem
    return None


def check(options: Any) -> None:
    """Check types, ranges and choices of options made in Python as the command line does; UserError
    if one is out."""
    found = first_problem(options)
    if found:
        raise UserError(" ".join(found))


# -- reading a command line ------------------------------------------------------------------------


class OneLineParser(argparse.ArgumentParser):
    """argparse, but a mistake is one line, not a page of usage."""

    def error(self, message: str) -> NoReturn:
        fail(message.removeprefix("argument "))


def help_formatter(prog: str) -> argparse.HelpFormatter:
    """Wider left column than argparse's, so that an option and its help share a line."""
    return argparse.HelpFormatter(prog, max_help_position=36)


def fail(message: str, code: int = 2) -> NoReturn:
    """One line on stderr, then exit."""
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
        extra: dict[str, Any] = {"metavar": METAVARS[shape.item]}
        if shape.item is bool and not shape.container:
            extra = {"action": argparse.BooleanOptionalAction}
        elif shape.container:
            extra["nargs"] = "+"
        groups[heading].add_argument(
            flag(field.name),
            dest=field.name,
            default=argparse.SUPPRESS,
            help=help_text(field),
            **extra,
        )
    return parser


def read(text: str, kind: type) -> Any:
    """A text from the command line as a value; ValueError if it is none of this kind."""
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower(), text)
    return kind(text)


def convert(given: Any, shape: Shape, choices: Sequence[str] | None) -> Any:
    """What argparse collected for an option, as the option's value. Lists are given as `1 2 4` or
    `1,2,4`.

    What cannot be read is passed on as text: the checks then say what was expected.
    """

    def one(text: str) -> Any:
        try:
            return read(text, shape.item)
        except ValueError:
            return text

    if isinstance(given, bool):
        return given
    if shape.container:
        return shape.container(one(part) for text in given for part in text.split(",") if part)
    # Among texts "none" is one like any other, unless there are choices and none of them is called
    # that.
    if (
        shape.optional
        and given.lower() == "none"
        and (shape.item is not str or choices and "none" not in choices)
    ):
        return None
    return one(given)


def parse(
    options_class: type,
    argv: Sequence[str] | None = None,
    *,
    prog: str,
    description: str,
    recipes: Mapping[str, Mapping[str, Any]] | None = None,
) -> Any:
    """The options as given in `argv` (default: the command line). A mistake is one line on stderr
    and exit code 2.

    recipes: for some tasks, other defaults than the options' own.
    """
    given, unknown = build_parser(options_class, prog, description).parse_known_args(argv)
    known = shapes(options_class)
    if unknown:
        word = unknown[0].split("=")[0]
        what = "unknown option" if word.startswith("-") else "no option belongs to"
        close = nearest(
            word.lstrip("-").replace("_", "-"), [flag(name)[2:] for name in known]
        ).replace("mean ", "mean --")
        fail(f"{what} {word}{close} (--help lists all)")
    rules = {field.name: field.metadata for field in dataclasses.fields(options_class)}
    values = {
        name: convert(value, known[name], rules[name].get("choices"))
        for name, value in vars(given).items()
    }
    if recipes and "resume" not in values:  # a run that is gone on with keeps its own
        values = {**recipes.get(values.get("task"), {}), **values}
    for field in dataclasses.fields(options_class):
        if field.init and field.name not in values and default_of(field) is dataclasses.MISSING:
            fail(f"{flag(field.name)} must be given: {field.metadata.get('help', '')}")
    try:
        options = options_class(**values)
    except UserError as error:  # from a __post_init__
        fail(str(error))
    if found := first_problem(options):
        fail(f"{flag(found[0])} {found[1]}")
    options.__dict__[GIVEN] = frozenset(values)
    return options


# -- showing and completing options ----------------------------------------------------------------


def show(value: Any) -> str:
    """A value as a person reads it."""
    if isinstance(value, (list, tuple)):
        return " ".join(show(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)


def describe(options: Any) -> str:
    """An aligned table of the options' values, printed at the start of a command."""
    rows = [
        (field.name, show(getattr(options, field.name))) for field in dataclasses.fields(options)
    ]
    width = max((len(name) for name, _ in rows), default=0)
    return "\n".join(f"  {name:<{width}}  {value}".rstrip() for name, value in rows)


def plain(value: Any) -> Any:
    """A value as JSON knows it: paths and what JSON has no word for (NaN, infinities) become
    texts."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def to_dict(options: Any) -> dict[str, Any]:
    """The options as a dict that `json.dumps` takes."""
    return {
        field.name: plain(getattr(options, field.name)) for field in dataclasses.fields(options)
    }


def fill(options: Any, defaults: Mapping[str, Any]) -> Any:
    """A copy in which options that are None have their value from `defaults`; what is no option is
    passed over.

    So `--scale nano` can set the model's sizes, and `--dim 96` still has the last word.
    """
    missing = {
        field.name for field in dataclasses.fields(options) if getattr(options, field.name) is None
    }
    return dataclasses.replace(
        options, **{name: value for name, value in defaults.items() if name in missing}
    )


def resumed(options: Any, saved: Mapping[str, Any]) -> Any:
    """The options to go on with: those `saved` with the run, but what the command line names holds.
    (Options made in Python do not know what was named: of them, what is other than its default
    holds.)

    So `--resume FOLDER` alone goes on with the very same run, and `--resume FOLDER --steps 200`
    with a longer one.
    """

    def typed(value: Any, shape: Shape) -> Any:
        if value is None:
            return None
        return shape.container(map(shape.item, value)) if shape.container else shape.item(value)

    known = shapes(type(options))
    changed = options.__dict__.get(GIVEN) or {
        field.name
        for field in dataclasses.fields(options)
        if getattr(options, field.name) != default_of(field)
    }
    try:
        old = {
            name: typed(saved[name], known[name])
            for name in known
            if name in saved and name not in changed
        }
    except (TypeError, ValueError) as error:
        raise UserError(
            f"the options saved with the run cannot be read ({error}); restore its config.json"
        ) from error
    return dataclasses.replace(options, **old)


# -- running a command -----------------------------------------------------------------------------


def silence_stdout() -> None:
    """After the reader of our output has gone: what is still to be flushed goes nowhere, without a
    complaint."""
    # stdout may be no real file: then there is nothing to flush
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run_command(
    function: Callable[[Any], Any],
    options_class: type,
    argv: Sequence[str] | None = None,
    *,
    prog: str,
    description: str,
    recipes: Mapping[str, Mapping[str, Any]] | None = None,
    first: str | None = None,
) -> None:
    """Parse the command line and call `function(options)`. `first`="run": `report RUN` is short for
    `report --run RUN`.

    What the user can mend ends with one line and exit code 2, Ctrl-C with 130; any other exception
    is a mistake of ours and keeps its traceback.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if first and words and not words[0].startswith("-"):
        words.insert(0, f"--{first}")
    try:
        function(parse(options_class, words, prog=prog, description=description, recipes=recipes))
        sys.stdout.flush()
    except UserError as error:
        fail(str(error))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:  # as in `... | head`
        silence_stdout()
        raise SystemExit(
            141
        ) from None  # 128 + SIGPIPE, what the shell says of any program that ends so
    except OSError as error:
        if error.errno not in MENDABLE:
            raise
        where = f" ({error.filename})" if error.filename else ""
        fail(f"{error.strerror}{where}: {MENDABLE[error.errno]}")

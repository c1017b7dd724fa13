"""What a command can be asked for: a dataclass whose fields know their help, their range and
whether they were given.

A command declares its options once, as a subclass of `CommandOptions`. From it come the parser and
the `--help` (cli.py), the checks, the table that is printed at the start and the JSON that is saved
with the run:

    @dataclass
    class Options(CommandOptions):
        task: str = option("countdown", "which problems to learn", choices=("countdown", "ledger"))
        steps: int = option(100, "optimizer steps", minimum=1) lr: float | None = option(None,
        "learning rate; the scale's own if not given", exclusive_minimum=0)

The types are int, float, str, bool, Path, lists and tuples of these, `dict[str, float]`, and
`X | None`.

**What was given counts**, on the command line and in Python alike: `Options(steps=100)` asks for
100 steps even where 100 is the default. So a task's recipe (`with_recipe`) and the options saved
with a run (`resumed`) never override what somebody has asked for.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import os
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from minilrm.errors import UserError
from minilrm.files import json_ready
from minilrm.machine import DEVICES

KINDS: dict[type, str] = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    Path: "a path",
}
CONTAINERS: dict[Any, str] = {
    list: "a list",
    tuple: "a list",
    dict: "names with numbers, such as accuracy=1",
}


class CommandOptions:
    """The base of every command's options: remembers the fields that were named when it was made.

    >>> @dataclasses.dataclass
    ... class Options(CommandOptions):
    ...     steps: int = 100
    ...     lr: float = 0.1
    >>> sorted(Options(steps=100).given), Options(lr=0.2).replace(steps=7)
    (['steps'], Options(steps=7, lr=0.2))
    """

    several: ClassVar[bool] = False  # whether several processes can share the command's work
    _given: frozenset[str] = frozenset()

    def __new__(cls, *args: Any, **named: Any) -> Self:
        made = super().__new__(cls)
        declared = dataclasses.fields(cls)  # type: ignore[arg-type]
        fields = [field.name for field in declared if field.init]
        made._given = frozenset((*fields[: len(args)], *named))
        return made

    @property
    def given(self) -> frozenset[str]:
        """The names of the fields that were asked for; all others have a default."""
        return self._given

    def replace(self, **changes: Any) -> Self:
        """A copy with other values. A changed field does not count as given: see `given`."""
        made = dataclasses.replace(self, **changes)  # type: ignore[type-var]
        made._given = self._given
        return made


Given = TypeVar("Given", bound=CommandOptions)


# -- declaring options -----------------------------------------------------------------------------


def option(
    default: Any,
    help: str,
    *,
    choices: Iterable[Any] | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    exclusive_minimum: float | None = None,
    group: str | None = None,
) -> Any:
    """A dataclass field with what the command line needs to know about it.

    `default` may be `dataclasses.MISSING`: then the option must be given. `choices` that are a
    mapping (the registry of tasks) are read when they are needed, so a task that is registered
    later counts. `group` is the heading under which `--help` shows the option. Ranges and choices
    hold for each item of a list. NaN and infinities are never allowed.
    """
    metadata = {
        "help": help,
        "choices": choices if choices is None or isinstance(choices, Mapping) else tuple(choices),
        "minimum": minimum,
        "maximum": maximum,
        "exclusive_minimum": exclusive_minimum,
        "group": group,
    }
    # one for each instance, or a change to one would change all
    if isinstance(default, (list, dict)):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


MOST_THREADS, LARGEST_SEED = 1024, 2**63 - 1


def seed_option(help: str) -> Any:
    return option(0, help, minimum=0, maximum=LARGEST_SEED)


def device_option() -> Any:
    help = "what to compute on; auto is a CUDA GPU if there is one, else the CPU"
    return option("auto", help, choices=DEVICES)


def threads_option() -> Any:
    help = "threads; the available cores, at most 4, if not given"
    return option(None, help, minimum=1, maximum=MOST_THREADS)


def chat_option() -> Any:
    help = "put each prompt as the user's turn of the model's own chat template"
    return option(False, help)


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
    container, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if container in (list, tuple):
        annotation = arguments[0]
    elif container is dict and arguments == (str, float):
        annotation = float
    elif annotation in (list, tuple):
        container, annotation = annotation, str
    if annotation not in KINDS:
        raise TypeError(f"cannot make a command-line option of the type {annotation!r}")
    return Shape(annotation, container, optional)


def shapes(options_class: type) -> dict[str, Shape]:
    """The shape of every option, by field name."""
    hints = typing.get_type_hints(options_class)
    fields = dataclasses.fields(options_class)
    return {field.name: shape_of(hints[field.name]) for field in fields if field.init}


def flag(name: str) -> str:
    """`max_new_tokens` -> `--max-new-tokens`, `from_` -> `--from`."""
    return "--" + name.rstrip("_").replace("_", "-")


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
        wanted = (int, float) if kind is float else int
        return isinstance(value, wanted) and not isinstance(value, bool)
    return isinstance(value, (str, Path) if kind is Path else kind)


def problem_with(value: Any, kind: type, rules: Mapping[str, Any]) -> str | None:
    """What is wrong with one value, as the end of a sentence; None if nothing is."""
    if not has_type(value, kind):
        return f"must be {KINDS[kind]}, not {value!r:.60}"
    if kind is Path:
        return problem_with_path(value)
    choices = rules.get("choices")
    if choices is not None and value not in choices:
        known = ", ".join(str(choice) for choice in choices)
        return f"cannot be {value!r:.60}{nearest(str(value), map(str, choices))} (choices: {known})"
    if isinstance(value, float) and not math.isfinite(value):
        return f"must be a finite number, not {value}"
    low, high, above = rules.get("minimum"), rules.get("maximum"), rules.get("exclusive_minimum")
    if low is not None and value < low:
        return f"must be at least {low}, not {value}"
    if above is not None and value <= above:
        return f"must be above {above}, not {value}"
    if high is not None and value > high:
        return f"must be at most {high}, not {value}"
    return None


def problem_with_path(value: str | Path) -> str | None:
    """A name that no file can have. Whether the file is there is for the command to say."""
    shown = str(value).encode("utf-8", "backslashreplace").decode()
    if shown != str(value):
        return f"is no valid text: {shown:.60}"
    try:
        os.stat(value)
    except (FileNotFoundError, PermissionError):
        pass
    except NotADirectoryError:
        return f"cannot be {shown:.60}: a file stands where a folder would have to be"
    except (OSError, ValueError) as error:  # too long a name; a null character is a ValueError
        return f"cannot be {shown:.60}: {getattr(error, 'strerror', None) or error}".lower()
    return None


def problem_with_field(value: Any, shape: Shape, rules: Mapping[str, Any]) -> str | None:
    """What is wrong with the value of an option, whether it is one value or several."""
    if value is None and shape.optional:
        return None
    if shape.container is dict:
        if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
            return f"must be {CONTAINERS[dict]}, not {value!r:.60}"
        parts: Iterable[tuple[str, Any]] = ((f"{name}: ", weight) for name, weight in value.items())
    elif shape.container:
        if not isinstance(value, (list, tuple)):
            return f"must be {CONTAINERS[shape.container]}, not {value!r:.60}"
        parts = (("", item) for item in value)
    else:
        parts = iter([("", value)])
    return next(
        (where + p for where, item in parts if (p := problem_with(item, shape.item, rules))), None
    )


def check(options: Any) -> None:
    """Check types, ranges and choices, in the same words for options made in Python and on the
    command line. UserError for the first option that is out of order."""
    known = shapes(type(options))
    for field in dataclasses.fields(options):
        if field.init:
            value = getattr(options, field.name)
            problem = problem_with_field(value, known[field.name], field.metadata)
            if problem:
                raise UserError(f"{flag(field.name)} {problem}")


# -- showing and completing options ----------------------------------------------------------------


def show(value: Any) -> str:
    """A value as a person reads it."""
    if isinstance(value, Mapping):
        return " ".join(f"{name}={number:g}" for name, number in value.items())
    if isinstance(value, (list, tuple)):
        return " ".join(show(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)


def options_table(options: Any) -> str:
    """An aligned table of the options' values, printed at the start of a command."""
    fields = dataclasses.fields(options)
    width = max((len(field.name) for field in fields), default=0)
    rows = ((field.name, show(getattr(options, field.name))) for field in fields)
    return "\n".join(f"  {name:<{width}}  {value}".rstrip() for name, value in rows)


def to_dict(options: Any) -> dict[str, Any]:
    """The options as a dict that `json.dumps` takes: paths become texts."""
    fields = dataclasses.fields(options)
    return {field.name: json_ready(getattr(options, field.name)) for field in fields}


def fill(options: Given, defaults: Mapping[str, Any]) -> Given:
    """A copy in which options that are None have their value from `defaults`; names in `defaults`
    that are no option are passed over.

    So `--scale nano` can set the model's sizes, and `--dim 96` still has the last word.
    """
    fields = dataclasses.fields(options)  # type: ignore[arg-type]
    missing = {field.name for field in fields if getattr(options, field.name) is None}
    return options.replace(**{name: v for name, v in defaults.items() if name in missing})


def with_recipe(options: Given, recipe: Mapping[str, Any]) -> Given:
    """A copy with a task's own values for what was not given."""
    known = {field.name for field in dataclasses.fields(options)}  # type: ignore[arg-type]
    wanted = {name: v for name, v in recipe.items() if name in known - options.given}
    return options.replace(**wanted)


def resumed(options: Given, saved: Mapping[str, Any]) -> Given:
    """The options to resume a run with: those `saved` with it, except what was given now.

    So `--resume FOLDER` alone goes on with the very same run, and `--resume FOLDER --steps 200`
    with a longer one. The saved options are checked like any others: somebody may have edited the
    file.
    """
    known = shapes(type(options))
    old = {name: as_saved(saved[name], known[name]) for name in known if name in saved}
    merged = options.replace(**{name: v for name, v in old.items() if name not in options.given})
    try:
        check(merged)
    except UserError as error:
        raise UserError(f"the options saved with the run are out of order: {error}") from None
    return merged


def as_saved(value: Any, shape: Shape) -> Any:
    """A value out of a JSON file, with the kinds that JSON does not know. It is not yet checked."""
    if shape.item is Path and isinstance(value, str):
        return Path(value)
    return tuple(value) if shape.container is tuple and isinstance(value, list) else value

"""What may look at a running batch, or reach into it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from minilrm.tokenizer import Tokenizer


@dataclass(frozen=True)
class Ban:
    """An answer of the `allowed` hook: these ids may not be sampled now."""

    ids: Sequence[int]


@dataclass(frozen=True)
class Force:
    """An answer of the `allowed` hook: only these ids may be sampled now."""

    ids: Sequence[int]


class ToolError(Exception):
    """Raised by an `intervene` hook: that row ends with finish_reason "tool_error"."""


# (row, ids after the prompt so far) -> what may be sampled next; None is anything.
Allowed = Callable[[int, list[int]], Ban | Force | None]
# (row, ids after the prompt so far) -> ids to append without sampling them; None or [] is nothing.
Intervene = Callable[[int, list[int]], Sequence[int] | None]
# Is told (row, new id, whether it was sampled).
Stream = Callable[[int, int, bool], None]


@dataclass(frozen=True)
class Hooks:
    """The hooks of one call of `generate`, which says what each does, and its stop strings."""

    tokenizer: Tokenizer
    stop: tuple[str, ...] = ()
    allowed: Allowed | None = None
    intervene: Intervene | None = None
    stream: Stream | None = None

    @property
    def asked(self) -> bool:
        """Whether the caller has to be asked or told while the batch runs."""
        return bool(self.allowed or self.intervene or self.stream)

    def stopped(self, ids: list[int]) -> bool:
        """Whether a stop string has just been completed; only the tail can hold it."""
        longest = max(map(len, (s.encode() for s in self.stop)), default=0)
        tail = self.tokenizer.decode(ids[-longest - 1 :]) if longest else ""
        return any(s in tail for s in self.stop)

    def cut(self, text: str) -> str:
        """The text before the first stop string.

        >>> Hooks(tokenizer, stop=(";", "\\n")).cut("4; 5\\n6")
        '4'
        """
        ends = [text.find(s) for s in self.stop if s in text]
        return text[: min(ends)] if ends else text

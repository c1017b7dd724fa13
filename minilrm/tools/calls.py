r"""A model calls tools while it writes.

    <tool:calculator>12*7</tool><result>84</result> So there are 84 pens.

The model writes the call, generation pauses, the tool runs, the result is inserted, and generation
goes on. `ToolCalls` is the hook that does it:

    calls = ToolCalls(tokenizer, {"calculator": calculate})
    generate(model, tokenizer, prompts, max_new_tokens=200, intervene=calls)
    calls.made(0)        # the calls of row 0, with their results

Inserted tokens get mask 0 and logprob 0 from the sampler, so no loss and no grader counts them, and
what was sampled is never tokenised again.

What is trusted. A call must stand whole in tokens that the model itself sampled, with nothing
inserted between: so a tool's text can neither start a tool nor complete a call. A result tag that
the model wrote itself is a forgery, and is noted (`forged`). In what a tool says, tags are
defused, and what goes wrong is text too, of bounded length.
"""

import queue
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from minilrm.tools.tool import Tool, ToolFailed, cut

MOST_CALLS = 4  # of a completion; one more is answered by an error
LONGEST_RESULT = 300  # characters that are inserted, tags not counted
LONGEST_ARGUMENT = 4000  # characters
MOST_SECONDS = 10.0  # of a call; the tools here bound themselves well below it

OPEN_TAG = re.compile(r"<tool:([a-z][a-z_]{0,29})>")
CLOSE_TAG = "</tool>"
RESULT_TAGS = ("<result>", "</result>")
TAG = re.compile(r"<(?=/?(?:tool|result)\b)", re.IGNORECASE)


class Tokens(Protocol):
    """A tokenizer, as far as it is needed here."""

    special_ids: dict[str, int]

    def encode(self, text: str, allow_special: bool = False) -> list[int]: ...

    def decode_bytes(self, ids: Sequence[int]) -> bytes: ...


@dataclass(frozen=True)
class Call:
    """One call. ids after the prompt: those inserted stand at `start` to `end`. failed: whether the
    result is an error."""

    tool: str
    argument: str
    result: str
    failed: bool
    start: int
    end: int


@dataclass
class Row:
    """What is known of one completion. fresh: where the tokens begin that were sampled since the
    last insertion. read: how many characters of their text are done with. length: ids so far."""

    calls: list[Call] = field(default_factory=list)
    forged: bool = False
    fresh: int = 0
    read: int = 0
    length: int = 0


class ToolCalls:
    """The `intervene` hook of one call of `generate`.

    tools: name -> function from text to text, which raises ToolFailed. most_calls: of a completion.
    special: whether the tags of a result are the tokenizer's special tokens (`Task.special_tokens`:
    a model reads them as it was taught to). most_seconds: of a call (see `in_time`).
    """

    def __init__(
        self,
        tokenizer: Tokens,
        tools: Mapping[str, Tool],
        most_calls: int = MOST_CALLS,
        longest_result: int = LONGEST_RESULT,
        special: bool = True,
        most_seconds: float = MOST_SECONDS,
    ):
        self.tokenizer, self.tools = tokenizer, dict(tools)
        self.most_calls, self.longest_result, self.special = most_calls, longest_result, special
        self.most_seconds = most_seconds
        self.rows: dict[int, Row] = {}

    def made(self, row: int) -> list[Call]:
        """The calls of a row, in order."""
        return self.rows[row].calls if row in self.rows else []

    def forged(self, row: int) -> bool:
        """Whether the model itself wrote a result tag."""
        return row in self.rows and self.rows[row].forged

    def __call__(self, row: int, ids: list[int]) -> list[int] | None:
        """The ids to insert after these, if a call has just been completed."""
        state = self.rows.get(row)
        if state is None or len(ids) <= state.length:  # a completion that begins
            state = self.rows[row] = Row()
        state.length = len(ids)
        # Every tag ends with ">", so of most tokens nothing has to be read.
        if len(ids) <= state.fresh or b">" not in self.tokenizer.decode_bytes(ids[-1:]):
            return None
        said = self.tokenizer.decode_bytes(ids[state.fresh :]).decode("utf-8", "replace")
        state.forged = state.forged or any(tag in said for tag in RESULT_TAGS)
        end = said.find(CLOSE_TAG, state.read)
        if end < 0:
            return None
        inside, state.read = said[state.read : end], end + len(CLOSE_TAG)
        opened = list(OPEN_TAG.finditer(inside))
        if not opened:
            return None  # closed, but never opened
        tag = opened[-1]
        name, argument = tag[1], inside[tag.end() :]
        result, failed = self.run(len(state.calls), name, argument)
        inserted = self.encode(result)
        state.fresh, state.read = len(ids) + len(inserted), 0
        state.calls.append(Call(name, argument, result, failed, len(ids), state.fresh))
        return inserted

    def run(self, made: int, name: str, argument: str) -> tuple[str, bool]:
        """What a call comes to, as text of bounded length, and whether it failed. made: how many
        calls this completion has made before."""
        try:
            if made >= self.most_calls:
                raise ToolFailed(f"no more than {self.most_calls} calls")
            if name not in self.tools:
                known = ", ".join(self.tools) or "none"
                raise ToolFailed(f"no tool is called {name}; there are: {known}")
            if len(argument) > LONGEST_ARGUMENT:
                raise ToolFailed(f"longer than {LONGEST_ARGUMENT} characters")
            said = in_time(self.tools[name], argument, self.most_seconds)
            return cut(defuse(said), self.longest_result), False
        except ToolFailed as failure:
            return cut(defuse(f"error: {failure}"), self.longest_result), True

    def encode(self, result: str) -> list[int]:
        """The ids of a result with its tags. Only the tags can be special tokens, whatever the
        result holds."""
        opening, closing = RESULT_TAGS
        if not self.special:
            return self.tokenizer.encode(opening + result + closing)
        ids = self.tokenizer.special_ids
        return [ids[opening], *self.tokenizer.encode(result), ids[closing]]


def in_time(tool: Tool, argument: str, seconds: float) -> str:
    """What a tool says, or ToolFailed if it says nothing in time.

    A tool that hangs is left behind in a thread of its own, which ends with the program. One that
    holds Python itself, such as a power of large numbers, cannot be left: bound it from within.

    >>> in_time(str.upper, "abc", 5.0)
    'ABC'
    """
    came: queue.SimpleQueue[tuple[str, BaseException | None]] = queue.SimpleQueue()

    def work() -> None:
        try:
            came.put((tool(argument), None))
        except BaseException as error:
            came.put(("", error))

    threading.Thread(target=work, daemon=True).start()
    try:
        said, error = came.get(timeout=seconds)
    except queue.Empty:
        raise ToolFailed(f"no answer within {seconds:g} seconds") from None
    if error is not None:
        raise error
    return said


def defuse(text: str) -> str:
    """A text in which no tag of ours stands.

    >>> defuse("<tool:calculator>1+1</tool> in <module>")
    '(tool:calculator>1+1(/tool> in <module>'
    """
    return TAG.sub("(", text)

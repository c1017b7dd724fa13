"""What a tool is: a function from text to text."""

from collections.abc import Callable

# From what stands between the tags of a call to the result; raises ToolFailed.
Tool = Callable[[str], str]


class ToolFailed(Exception):
    """A tool could not do what it was asked. The text says why; the model reads it."""


def cut(text: str, longest: int) -> str:
    """At most so many characters; an end that was cut off is marked.

    >>> cut("abcdefgh", 6), cut("abc", 6)
    ('abc...', 'abc')
    """
    return text if len(text) <= longest else text[: longest - 3] + "..."

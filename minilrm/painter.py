"""Writing to a terminal what a model said, in styles of our own.

What a model writes is only ever text: a control character in it (one could move the cursor, rename
the window, or paint over what stands there) is shown as a symbol, never sent to the terminal.
"""

import os
import re
import sys
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

DIM, BOLD, RESET = "\x1b[2m", "\x1b[1m", "\x1b[0m"
CALL, RESULT = "\x1b[36m", "\x1b[32m"  # a call of a tool and the tags; what the tool said


@dataclass
class Painter:
    """Writes to the terminal: styles of our own, and no control character of anybody else's."""

    coloured: bool | None = None

    def __post_init__(self) -> None:
        if self.coloured is None:
            self.coloured = (
                sys.stdout.isatty()
                and not os.environ.get("NO_COLOR")
                and os.environ.get("TERM") != "dumb"
            )

    def paint(self, text: str, style: str = "") -> None:
        text = neutralise(text)
        # The style ends with every piece, so that Ctrl-C in the middle leaves the terminal as it
        # was.
        sys.stdout.write(f"{style}{text}{RESET}" if self.coloured and style else text)
        sys.stdout.flush()

    def answer(self, answer: object | None) -> None:
        self.paint("no answer" if answer is None else str(answer), BOLD)
        self.paint("\n")


class CallPainter:
    """Paints a stream with the calls of tools drawn apart: what a model says in DIM, its calls and
    all tags in CALL, what a tool answered in RESULT.

    Only what was inserted is an answer. A result that a model wrote itself is painted as what it
    is, something said.

    >>> painted = []
    >>> painter = CallPainter(lambda text, style: painted.append((text, style)))
    >>> for piece in ("It is <to", "ol:calculator>12*7</tool", ">"): painter.said(piece)
    >>> painter.answered("<result>84</result>"); painter.said("."); painter.end()
    >>> [text for text, style in painted if style == CALL]
    ['<tool:calculator>', '12*7', '</tool>', '<result>', '</result>']
    >>> [text for text, style in painted if style == RESULT], painted[0][0], painted[-1][0]
    (['84'], 'It is ', '.')
    """

    OPEN, CLOSE = re.compile(r"<tool:[a-z][a-z_]{0,29}>"), re.compile("</tool>")
    # An end that may become one of the two.
    BEGUN = re.compile(r"<(t(o(o(l(:[a-z_]{0,30})?)?)?)?)?$"), re.compile(r"<(/(t(o(ol?)?)?)?)?$")

    def __init__(self, paint: Callable[[str, str], None]):
        self.paint, self.held, self.inside = paint, "", False

    def said(self, piece: str) -> None:
        """What a model said next. What may be a part of a tag is held back."""
        text = self.held + piece
        while tag := (self.CLOSE if self.inside else self.OPEN).search(text):
            self.show(text[: tag.start()])
            self.paint(tag[0], CALL)
            text, self.inside = text[tag.end() :], not self.inside
        begun = self.BEGUN[self.inside].search(text)
        end = begun.start() if begun else len(text)
        self.show(text[:end])
        self.held = text[end:]

    def show(self, text: str) -> None:
        if text:
            self.paint(text, CALL if self.inside else DIM)

    def answered(self, text: str) -> None:
        """What was inserted, with its tags."""
        self.end()
        opening, closing = "<result>", "</result>"
        whole = text.startswith(opening) and text.endswith(closing)
        inner = text[len(opening) : -len(closing)] if whole else text.removeprefix(opening)
        if text.startswith(opening):
            self.paint(opening, CALL)
        self.paint(inner, RESULT)
        if whole:
            self.paint(closing, CALL)

    def end(self) -> None:
        """No more will come for now: what was held back was no tag."""
        held, self.held = self.held, ""
        self.show(held)
        self.inside = False


def neutralise(text: str) -> str:
    """Text that a terminal can only show. Line ends and tabs stay; other control characters become
    symbols.

    >>> neutralise("a\\x1b[31mb\\rc\\x07\\u202ed")
    'a␛[31mb␍c␇\\ufffdd'
    """
    return "".join(map(visible, text))


def visible(char: str) -> str:
    if char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cf", "Zl", "Zp", "Cs"):
        return char
    # U+2400.. are pictures of the 32 control characters of ASCII; others (C1, bidirectional
    # overrides ...) get the sign for "no such character". Most C1 controls do in one byte what ESC
    # does in two.
    return chr(0x2400 + ord(char)) if ord(char) < 32 else "␡" if char == "\x7f" else "\ufffd"

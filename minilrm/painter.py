"""Writing to a terminal what a model said, in styles of our own.

What a model writes is only ever text: a control character in it (one could move the cursor, rename
the window, or paint over what stands there) is shown as a symbol, never sent to the terminal.
"""

import os
import sys
import unicodedata
from dataclasses import dataclass

DIM, BOLD, RESET = "\x1b[2m", "\x1b[1m", "\x1b[0m"


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

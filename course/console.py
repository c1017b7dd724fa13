"""Printing what users call themselves and their files."""

import sys


def escape_what_cannot_be_shown() -> None:
    """A character outside the console's encoding is printed as its escape (`\\u0141`), on stdout as
    on stderr, and is no error."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")

"""What a training loop needs around the mathematics: Ctrl-C that saves first, and a progress
bar."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Collection, Iterator
from typing import Any, TextIO, TypeVar

from tqdm import tqdm

from minilrm.files import json_ready

Item = TypeVar("Item")


class Interrupt:
    """The first Ctrl-C asks the loop to stop after its step; a second one stops it at once.

        with Interrupt() as interrupt:
            for step in range(...):
                ...
                if interrupt.requested:
                    save(); say how to go on; break

    A SIGTERM (a batch system's, or a closing laptop's) asks in the same way. Python hands signals
    to the main thread only, so elsewhere this does nothing; nor does it wake a signal that was
    switched off, as nohup does.
    """

    def __init__(self) -> None:
        self.requested = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            for name in ("SIGINT", "SIGTERM"):
                number = getattr(signal, name, None)
                if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            # None stands for a handler that was not set from Python, which cannot be put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._previous.clear()

    def _ask(self, number: int, frame: object) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        # The signal may have come in the middle of a print; then this one is refused, which is no
        # reason to die.
        with contextlib.suppress(RuntimeError, OSError, ValueError):
            print(
                "\nstopping after this step; Ctrl-C again stops at once, without saving",
                file=sys.stderr,
                flush=True,
            )


class Progress:
    """A bar on stderr with the time left and whatever figures `update` is given.

    In a terminal it redraws itself; where there is none (a file, a CI log) it writes a plain line
    every 10 seconds.
    """

    def __init__(self, total: int, initial: int = 0, label: str = ""):
        live = sys.stderr.isatty()
        self._out = sys.stderr if live else _Lines(quiet_stream())
        # evaluations are slow steps; heed them little when the time left is guessed
        self._bar = _Bar(
            total=total,
            initial=initial,
            desc=label or None,
            unit="step",
            file=self._out,
            mininterval=0.2 if live else 10.0,
            miniters=1,
            dynamic_ncols=live,
            smoothing=0.05,
        )

    def update(self, steps: int = 1, /, **shown: object) -> None:
        """One step done; `shown` are figures to stand beside the bar: update(reward=0.41,
        length=38.2).

        Where tokens are counted the last step may go past the total: the bar then ends at 100%.
        """
        figures = " ".join(f"{name}={_short(value)}" for name, value in shown.items())
        self._bar.set_postfix_str(figures, refresh=False)
        self._bar.update(min(steps, self._bar.total - self._bar.n))

    def note(self, text: str) -> None:
        """Print a line above the bar."""
        if isinstance(self._out, _Lines):
            self._out.write(text)
        else:  # tqdm takes the bar away, prints, and draws it again
            self._bar.write(text, file=self._out)

    def close(self) -> None:
        self._bar.close()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def track(items: Collection[Item], label: str = "") -> Iterator[Item]:
    """The items one by one, with a bar that says how many are done.

    for problem in track(problems, "answers"):
        ...
    """
    with Progress(len(items), label=label) as bar:
        for item in items:
            yield item
            bar.update()


def quiet_stream() -> TextIO:
    """Where plain lines go: to stderr, but in a notebook to stdout, since a notebook shows stderr
    as if it were an error."""
    return sys.stdout if "ipykernel" in sys.modules else sys.stderr


class _Bar(tqdm):
    # tqdm's watching thread is of no use here, and threads and forked workers mix badly.
    monitor_interval = 0


class _Lines:
    """Turns the redrawing of a bar (carriage return, padding) into plain lines, for output that is
    no terminal."""

    def __init__(self, stream):
        self._stream = stream

    def write(self, text: str) -> None:
        if text.strip():
            self._stream.write(text.strip("\r\n").rstrip() + "\n")

    def flush(self) -> None:
        self._stream.flush()


def _short(value: object) -> str:
    value = json_ready(value)
    return f"{value:.3g}" if isinstance(value, float) else str(value)

"""Long work goes on, on a terminal: a line on stderr that moves, and vanishes at the end or at Ctrl-C."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nfcompile.cli.options import Options

if TYPE_CHECKING:
    from rich.live import Live

DELAY_SECONDS = 0.7
"""Work that ends sooner shows nothing."""
_busy = False  # a part of work that has a line already shows none of its own


@contextmanager
def working(text: str, options: Options, rows: bool = False) -> Iterator[None]:
    """Show what is being done, where stderr is a terminal and `--quiet` is not given; in a pipe nothing.

    `rows`: the work itself writes to stdout, and where that is a terminal its rows show that it goes on.
    """
    global _busy
    if _busy or options.quiet or not sys.stderr.isatty() or (rows and sys.stdout.isatty()):
        yield
        return
    line, _busy = _Line(text, options.color), True
    try:
        yield
    finally:
        _busy = False
        line.end()


class _Line:
    """A line that appears after a while, from a thread of its own: short work does not import rich."""

    def __init__(self, text: str, color: bool) -> None:
        from threading import Lock, Timer

        self._text, self._color = text, color
        self._lock, self._ended = Lock(), False
        self._live: Live | None = None
        self._timer = Timer(DELAY_SECONDS, self._appear)
        self._timer.daemon = True
        self._timer.start()

    def _appear(self) -> None:
        from nfcompile.kernel.netns import no_fork

        with no_fork, self._lock:
            if not self._ended:
                self._show()

    def _show(self) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.spinner import Spinner
        from rich.text import Text

        console = Console(stderr=True, no_color=not self._color)
        # Otherwise what the verb prints, maybe into a file, would go to the terminal with the line.
        spinner = Spinner("dots", Text(self._text), style="status.spinner")
        self._live = Live(
            spinner, console=console, refresh_per_second=12.5, transient=True, redirect_stdout=False
        )
        self._live.start()

    def end(self) -> None:
        """Take it away."""
        self._timer.cancel()
        with self._lock:
            self._ended = True
            if self._live is not None:
                self._live.stop()

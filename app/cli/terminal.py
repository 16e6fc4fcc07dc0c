"""What is said: a pleasure on a terminal, plain lines in a pipe."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Never

from rich.console import Console
from rich.measure import Measurement
from rich.status import Status
from rich.table import Table


class Terminal(Console):
    """A console that neither reflows what it is given nor hides that its reader has left."""

    def on_broken_pipe(self) -> Never:
        """Leave it to the command's ending; rich would exit with 1 from inside the event loop."""
        raise BrokenPipeError

    def print_table(self, table: Table) -> None:
        """As wide as it is: what is cut off cannot be copied, and a script reads no folded lines."""
        needed = Measurement.get(self, self.options.update(width=10_000), table).maximum
        Terminal(highlight=False, width=max(self.width, needed)).print(table)


output = Terminal(soft_wrap=True, highlight=False)
errors = Terminal(stderr=True, soft_wrap=True, highlight=False)


class Steps:
    """What is being done now: a changing line on a terminal; in a pipe one line a step, without figures."""

    def __init__(self, status: Status | None) -> None:
        self._status = status
        self._said = ""
        self._is_over = False

    def __call__(self, step: str, figures: str = "") -> None:
        """``step`` has begun, or goes on with other figures."""
        if self._is_over:
            return
        if self._status is not None:
            self._status.update(f"{step}{': ' if figures else ''}{figures}")
        elif step != self._said:
            output.print(step, markup=False)
        self._said = step

    def stop(self) -> None:
        """Take the changing line away; what is printed from now on stays."""
        self._is_over = True
        if self._status is not None:
            self._status.stop()


@contextmanager
def steps(first: str) -> Iterator[Steps]:
    """``Steps`` until the block ends or ``stop``; log lines do not run into the changing line."""
    if not output.is_terminal:
        shown = Steps(None)
        shown(first)
        yield shown
        return
    handlers = [each for each in logging.getLogger().handlers if isinstance(each, logging.StreamHandler)]
    with output.status(first) as status:
        streams = [(each, each.setStream(sys.stderr)) for each in handlers]  # rich stands there now
        try:
            yield Steps(status)
        finally:
            for handler, stream in streams:
                if stream is not None:
                    handler.setStream(stream)

"""How the command ends: one line for an error, the right exit code, no stack trace for what is no bug."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from app.exceptions import TrideskError

INTERRUPTED = 130  # 128 + SIGINT


@contextmanager
def ending() -> Iterator[None]:
    """Turn the block's outcome into the exit code; see ``app.cli.main``."""
    try:
        yield
        sys.stdout.flush()
    except BaseExceptionGroup as group:  # of what opened together, of which one failed
        ours = group.subgroup(TrideskError)
        if ours is None:
            raise
        _leave(str(_first(ours)))
    except TrideskError as error:
        _leave(str(error.detail or error.title))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        _forget_output()
        sys.exit(1)  # as click says of most of them


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _leave(line: str) -> None:
    click.echo(f"tridesk: {line}", err=True)
    sys.exit(1)


def _forget_output() -> None:
    """The reader has left (`| head`): what is still buffered has nowhere to go, not even at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)

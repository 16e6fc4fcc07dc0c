"""The `tridesk` command.

Nothing is imported here: `tridesk --help` is quick, and Ctrl-C in the first tenth of a second is quiet too.
"""

from __future__ import annotations

import signal


def main() -> None:
    """Entry point: an error of ours is one line on standard error.

    Exit codes: 0 well, 1 an error, 2 wrong usage, 128 + the number of the signal that interrupted.
    """
    # Before anything is open an interrupt has nothing to tidy up, and needs no stack trace.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from app.cli.ending import ending  # noqa: PLC0415 - see above

    with ending():
        from app.cli.commands import cli  # noqa: PLC0415 - see above

        cli(standalone_mode=False)


def __getattr__(name: str) -> object:
    if name != "cli":
        raise AttributeError(name)
    from app.cli.commands import cli  # noqa: PLC0415 - see above

    return cli

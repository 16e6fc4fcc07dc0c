"""Entry of the supervisor process; started by ``client``, not by people.

It detaches from its parent, which would otherwise have to reap it.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType

from app.embedded.supervisor import Supervisor


def main() -> None:
    """``python -m app.embedded DATA_DIR BINARIES LOCK_DESCRIPTOR durable|fast``."""
    data_dir, binaries, descriptor, kind = sys.argv[1:]
    if os.fork():
        os._exit(0)
    # its life is its users' life: they are asked to stop, not it
    stand_fast()
    os.umask(0o077)
    Supervisor(Path(data_dir), Path(binaries), int(descriptor), durable=kind == "durable").run()


def stand_fast() -> None:
    """Outlive the signals that ask to stop, without handing that on to the server.

    An ignored signal stays ignored across exec, a caught one does not: Postgres would miss the request to
    stop that comes before it has handlers of its own.
    """
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, _pass)


def _pass(number: int, frame: FrameType | None) -> None:
    """Nothing; interrupted system calls are taken up again by the interpreter (PEP 475)."""


if __name__ == "__main__":
    main()

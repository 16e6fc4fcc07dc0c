"""Entry of the supervisor process; started by ``client``, not by people.

It detaches from its parent, which would otherwise have to reap it.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from app.embedded.supervisor import Supervisor


def main() -> None:
    """``python -m app.embedded DATA_DIR BINARIES LOCK_DESCRIPTOR durable|fast``."""
    data_dir, binaries, descriptor, kind = sys.argv[1:]
    if os.fork():
        os._exit(0)
    # its life is its users' life: they are asked to stop, not it
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o077)
    Supervisor(Path(data_dir), Path(binaries), int(descriptor), durable=kind == "durable").run()


if __name__ == "__main__":
    main()

"""Which processes are ours, proven, and how to end them.

Process ids are reused, fast in a container, so an id read from a file proves nothing. A process is ours when
it runs as the server's account and either is a postgres or initdb started on our data directory (by its
argument ``-D``) or has the title that a server of our ``cluster_name`` gives its children. It is signalled
through a pidfd that was opened before the proof, so the signal cannot reach a successor.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path

from app.embedded.places import Places

PROGRAMS = frozenset({b"postgres", b"initdb"})


def _arguments(pid: int) -> list[bytes]:
    """Command line; empty for a process that is gone or a zombie. World-readable, unlike /proc/<pid>/exe."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def is_ours(pid: int, places: Places, uid: int) -> bool:
    """Whether the process belongs to this embedded server: the server, a child, or an initdb of it."""
    try:
        if Path(f"/proc/{pid}").stat().st_uid != uid:
            return False
    except OSError:
        return False
    program, *arguments = _arguments(pid) or [b""]
    if program.startswith(f"postgres: {places.name}: ".encode()):
        return True
    folders = (os.fsencode(places.link), os.fsencode(places.new_link))
    named = any(option == b"-D" and folder in folders for option, folder in pairwise(arguments))
    return named and program.rpartition(b"/")[2] in PROGRAMS


def our_processes(places: Places, uid: int) -> list[int]:
    """Ids of all of them."""
    ids = (int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit())
    return [pid for pid in ids if pid != os.getpid() and is_ours(pid, places, uid)]


@contextmanager
def handle(pid: int) -> Iterator[int | None]:
    """A pidfd, or None when there is no such process."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def ended(descriptor: int, timeout: float) -> bool:
    """Whether the process of a pidfd ends within ``timeout`` seconds."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(timeout * 1000))


def kill_leftovers(places: Places, uid: int) -> None:
    """End what a dead server or an interrupted initdb left behind: no new server may run beside it."""
    for pid in our_processes(places, uid):
        with handle(pid) as descriptor:
            if descriptor is not None and is_ours(pid, places, uid):
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                ended(descriptor, 10)

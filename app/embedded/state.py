"""The supervisor's lock file: who holds its lock supervises, and its content says how far it is.

The content has a fixed size and is written in place, so that a full disk cannot silence a message.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

STATE_BYTES = 2048


class Phase(StrEnum):
    """How far the server is."""

    UNKNOWN = "unknown"
    LAUNCHING = "launching"
    CREATING = "creating the database"
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class State:
    """``detail`` is for people; ``socket`` is the folder of the socket."""

    phase: Phase
    detail: str = ""
    socket: str = ""


def open_lock(path: Path) -> int:
    """Descriptor of a lock file, made where it is missing; children that exec do not inherit it."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def try_lock(descriptor: int, *, exclusive: bool) -> bool:
    """Take the lock if that is possible at once."""
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def wait_exclusive(descriptor: int) -> None:
    """Take the lock when everybody else has left it."""
    fcntl.flock(descriptor, fcntl.LOCK_EX)


def unlock(descriptor: int) -> None:
    """Give the lock back, also for copies of the descriptor in forked processes."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)


def write_state(descriptor: int, state: State) -> None:
    """Publish; only the holder of the lock may. A long detail is cut to what fits."""
    detail = state.detail
    while len(content := _encode(detail, state)) > STATE_BYTES:
        detail = detail[: len(detail) * 3 // 4]
    os.pwrite(descriptor, content.ljust(STATE_BYTES), 0)


def _encode(detail: str, state: State) -> bytes:
    return json.dumps({"phase": state.phase, "socket": state.socket, "detail": detail}).encode()


def read_state(descriptor: int) -> State:
    """What the last holder of the lock published; ``UNKNOWN`` for anything unreadable."""
    try:
        fields = json.loads(os.pread(descriptor, STATE_BYTES, 0))
        return State(phase=Phase(fields["phase"]), detail=str(fields["detail"]), socket=str(fields["socket"]))
    except (ValueError, KeyError, TypeError):
        return State(phase=Phase.UNKNOWN)

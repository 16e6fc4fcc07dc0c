"""What the children of the tests run."""

from __future__ import annotations

import ctypes
import os
import socket
import time
from pathlib import Path

from app.exceptions import NotFoundError


def identity(value: object) -> object:
    return value


def hang() -> None:
    while True:
        time.sleep(60)


def spin(started: str) -> None:
    """Never lets go of the interpreter for long; tells its process id through a pipe that the test made."""
    descriptor = os.open(started, os.O_WRONLY)
    os.write(descriptor, str(os.getpid()).encode())
    os.close(descriptor)
    while True:
        pass


def crash() -> None:
    ctypes.string_at(0)


def eat_memory() -> int:
    return len(bytearray(8 << 30))


def refuse() -> None:
    raise NotFoundError("gone", code="custom_code", wanted=3)


def fail() -> None:
    raise KeyError("x")


def surroundings() -> dict[str, object]:
    """What the child has of its parent."""
    return {
        "pid": os.getpid(),
        "environment": sorted(os.environ),
        "descriptors": [name for name in map(str, range(200)) if _is_socket(name)],
        "litestar": "litestar" in __import__("sys").modules,
    }


def _is_socket(name: str) -> bool:
    try:
        return Path(f"/proc/self/fd/{name}").readlink().name.startswith("socket:")
    except OSError:
        return False


def write_file(path: str) -> None:
    Path(path).write_bytes(b"x" * 100)


def noisy() -> str:
    os.write(1, b"noise on standard output")
    return "quiet"


def evil_answer() -> object:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, ("true",)

    return Evil()


def open_socket() -> socket.socket:
    return socket.socket()

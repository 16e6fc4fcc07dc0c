"""The parent's side of one child process: frames of 8 bytes of length and a pickle, over pipes."""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
import threading
from dataclasses import is_dataclass
from enum import Enum
from importlib import import_module
from typing import Any, BinaryIO, Final

import msgspec

HEADER: Final = 8
_MAX_RESULT: Final = 1 << 30
_START = (
    "import json, sys; settings = json.loads(sys.argv[1]); sys.path[:] = settings['path'];"
    "from app.parsing.child_main import main; main(settings)"
)
_PLAIN = {
    ("builtins", "set"), ("builtins", "frozenset"), ("builtins", "bytearray"), ("builtins", "complex"),
    ("datetime", "datetime"), ("datetime", "date"), ("datetime", "timedelta"), ("datetime", "timezone"),
    ("copyreg", "_reconstructor"), ("builtins", "object"),
}  # fmt: skip


class ChildDiedError(Exception):
    """The child is gone or its answer is unusable; ``cause`` says what is known."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class Child:
    """One child; it is started by the first call, so making one costs nothing."""

    def __init__(self, memory_limit: int) -> None:
        self.idle_since = 0.0
        self._memory_limit = memory_limit
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline: int | None = None
        self._dead = False
        self._reaping = False
        self._lock = threading.Lock()

    @property
    def usable(self) -> bool:
        """False once it is dead or on its way."""
        return not self._dead

    def call(self, call: Any) -> Any:
        """Send a call and wait for its answer. Blocks: to be used in a thread of its own."""
        frame = pickle.dumps(call, protocol=pickle.HIGHEST_PROTOCOL)
        try:
            process = self._started()
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(len(frame).to_bytes(HEADER, "big"))
            process.stdin.write(frame)
            process.stdin.flush()
            status, value, retire = _load(_read_frame(process.stdout))
        except (OSError, EOFError, ValueError) as error:
            self.kill()
            self.wait()
            raise ChildDiedError(self._cause()) from error
        except (
            pickle.UnpicklingError,
            TypeError,
            AttributeError,
            ImportError,
            IndexError,
            KeyError,
        ) as error:
            self.kill()
            self.wait()
            raise ChildDiedError("unusable answer") from error
        if retire:
            self.kill()
        if status == "ok":
            return value
        if status == "error" and isinstance(value, BaseException):
            raise value
        raise ChildDiedError(str(value))

    def kill(self) -> None:
        """End the child at once; its pipes close, so that a waiting call returns."""
        with self._lock:
            self._dead = True
            if self._lifeline is not None:
                os.close(self._lifeline)
                self._lifeline = None
            process, reaping, self._reaping = self._process, self._reaping, True
        if process is not None and not reaping:
            process.kill()
            threading.Thread(target=self.wait, name="isolated-reap", daemon=True).start()

    def wait(self) -> None:
        """Reap the process and close its pipes."""
        process = self._process
        if process is None:
            return
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    continue  # what was not written yet has nobody to read it

    def _started(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._dead:
                raise EOFError
            if self._process is None:
                self._process = self._spawn()
            return self._process

    def _spawn(self) -> subprocess.Popen[bytes]:
        """Nothing is inherited but three pipes: the third one's end tells the child that its parent is
        gone.
        """
        reading, self._lifeline = os.pipe()
        settings = {"path": sys.path, "memory": self._memory_limit, "lifeline": reading}
        try:
            return subprocess.Popen(  # noqa: S603 - our own interpreter and our own program
                [sys.executable, "-I", "-B", "-c", _START, json.dumps(settings)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=(reading,),
                env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
                start_new_session=True,
            )
        finally:
            os.close(reading)

    def _cause(self) -> str:
        code = self._process.returncode if self._process is not None else None
        return f"signal {-code}" if code is not None and code < 0 else f"exit {code}"


class _Unpickler(pickle.Unpickler):
    """Answers come from a process that has read hostile input: only our own data classes are made from
    them.
    """

    def find_class(self, module: str, name: str) -> Any:
        """Refuse everything but plain values, and data classes, structs, enums and errors of this
        application.
        """
        if (module, name) in _PLAIN:
            return super().find_class(module, name)
        root = module.split(".", maxsplit=1)[0]
        found = (
            getattr(import_module(module), name, None)
            if root in {"app", "tests"} and "." not in name
            else None
        )
        if isinstance(found, type) and (
            is_dataclass(found) or issubclass(found, Enum | BaseException | msgspec.Struct)
        ):
            return found
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed in an answer")


def _load(frame: bytes) -> Any:
    return _Unpickler(io.BytesIO(frame)).load()


def _read_frame(stream: BinaryIO | Any) -> bytes:
    header = stream.read(HEADER)
    size = int.from_bytes(header, "big")
    if len(header) < HEADER or size > _MAX_RESULT:
        raise EOFError
    frame: bytes = stream.read(size)
    if len(frame) < size:
        raise EOFError
    return frame

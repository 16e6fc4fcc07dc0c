"""Where everything of one embedded server lies."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from app.exceptions import ConfigurationError

PORT = 5432  # only names the socket file; nothing listens on TCP

_ADVICE = {
    errno.ENOSPC: "no space is left: free some, or point DATA_DIR to another disk",
    errno.EDQUOT: "the disk quota is used up: free some space, or point DATA_DIR to another disk",
    errno.EROFS: "the file system is read-only: make it writable, or point DATA_DIR elsewhere",
    errno.EACCES: "permission denied: run as the owner of DATA_DIR, or point DATA_DIR elsewhere",
    errno.EPERM: "not permitted: run as the owner of DATA_DIR, or point DATA_DIR elsewhere",
    errno.ENAMETOOLONG: "the path is too long: choose a shorter DATA_DIR",
    errno.ENOTDIR: "a part of the path is not a directory: choose another DATA_DIR",
    errno.EEXIST: "a file of that name is in the way: choose another DATA_DIR",
}


@contextmanager
def reported() -> Iterator[None]:
    """Turn an ``OSError`` about a file into a ``ConfigurationError`` of one line that says what to do."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, os.strerror(error.errno or 0))
        if error.errno == errno.EACCES and os.geteuid() == 0:
            advice = (
                "permission denied to root: grant the capability DAC_OVERRIDE, or run as an ordinary user"
            )
        name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "DATA_DIR"
        raise ConfigurationError(f"Embedded Postgres: {name}: {advice}.") from error


@dataclass(frozen=True)
class Places:
    """The paths of one embedded server; ``data_dir`` may be relative and need not exist."""

    data_dir: Path

    @classmethod
    def of(cls, data_dir: Path) -> Places:
        """Resolve symbolic links, so that every way to a folder names the same server."""
        return cls(Path(os.path.realpath(data_dir.expanduser())))

    @property
    def cluster(self) -> Path:
        """The data directory of Postgres."""
        return self.data_dir / "postgres"

    @property
    def log(self) -> Path:
        """What Postgres and its supervisor say; the generation before has the suffix .1."""
        return self.data_dir / "postgres.log"

    @property
    def configuration(self) -> Path:
        """Written anew at every start; ``alter system`` wins over it."""
        return self.data_dir / "postgres.conf"

    @property
    def users_lock(self) -> Path:
        """Shared by every user for its lifetime; exclusively the supervisor's while it stops the server."""
        return self.data_dir / "postgres.users.lock"

    @property
    def supervisor_lock(self) -> Path:
        """Held by the one supervisor, which also publishes its state in it."""
        return self.data_dir / "postgres.supervisor.lock"

    @property
    def name(self) -> str:
        """Short, plain and unique to the data directory; also the server's ``cluster_name``."""
        return f"tridesk-{hashlib.sha256(os.fsencode(self.data_dir)).hexdigest()[:16]}"

    @cached_property
    def runtime(self) -> Path:
        """Folder of the socket. /tmp where it can be used: TMPDIR differs between the users of a server, and
        the path of a socket has at most 107 bytes."""
        shared = Path("/tmp")  # noqa: S108 - the folder made in it is checked, see prepare_runtime
        root = shared if os.access(shared, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())
        return root / self.name

    @property
    def socket(self) -> Path:
        """The listening socket."""
        return self.runtime / f".s.PGSQL.{PORT}"

    @property
    def link(self) -> Path:
        """A short name of the cluster without spaces, by which Postgres is started and recognised."""
        return self.runtime / "data"

    @property
    def new_link(self) -> Path:
        """The same for a cluster in the making."""
        return self.runtime / "new"


def prepare_runtime(places: Places, uid: int, gid: int) -> None:
    """Make the private folder of the socket, or check that the one there is ours (private and of ``uid``)."""
    folder = places.runtime
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    ours = {uid, os.geteuid()}
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in ours or stat.S_IMODE(found.st_mode) & 0o077:
        raise ConfigurationError(
            f"Embedded Postgres: {folder} is not a private folder (0700) of user id {uid}: remove it."
        )
    if found.st_uid != uid:
        os.chown(folder, uid, gid)
    relink(places.link, places.cluster)


def remove_runtime(places: Places) -> None:
    """Take the folder away when the server has stopped."""
    with suppress(OSError):
        if not places.socket.exists():
            places.link.unlink(missing_ok=True)
            places.runtime.rmdir()


def relink(link: Path, target: Path) -> None:
    """Point ``link`` to ``target``, whatever it was before."""
    with suppress(OSError):
        if os.fspath(link.readlink()) == os.fspath(target):
            return
    link.unlink(missing_ok=True)
    link.symlink_to(target)

"""The data directory: made whole or not at all, and of the right version.

One database ``tridesk`` with two roles that may log in: ``tridesk_owner`` owns it (and so its schema public),
``tridesk_app`` may connect and owns nothing; the migrations grant it what it needs. pgvector is not a trusted
extension, so the extensions are made and brought up to date here, by the superuser, in single-user mode.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.embedded.account import Account, check_named
from app.embedded.logfile import LogFile
from app.embedded.places import Places, relink
from app.embedded.postmaster import ENVIRONMENT
from app.exceptions import ConfigurationError

DATABASE = "tridesk"
OWNER_ROLE = "tridesk_owner"
APP_ROLE = "tridesk_app"
EXTENSIONS = ("vector", "pg_trgm", "unaccent")
EXTENSION_MARK = "extensions"  # file beside the log that names the versions last seen

_ROLES = f"""
create role {OWNER_ROLE} login
create role {APP_ROLE} login
create database {DATABASE} owner {OWNER_ROLE}
revoke all on database {DATABASE} from public
grant connect on database {DATABASE} to {APP_ROLE}
"""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Makes and checks the data directory of one embedded server."""

    places: Places
    account: Account
    binaries: Path
    log: LogFile
    durable: bool

    def prepare(self) -> None:
        """Check what is there. Another major version raises ``ConfigurationError``."""
        version = self.places.cluster / "PG_VERSION"
        found, ours = version.read_text(encoding="ascii", errors="replace").strip(), self._server_version()
        if found != ours.partition(".")[0]:
            raise ConfigurationError(
                f"Embedded Postgres: {self.places.cluster} was made by PostgreSQL {found}, this is {ours}:"
                f" dump it with version {found} and restore the dump here, or choose another DATA_DIR."
            )

    def exists(self) -> bool:
        """Whether there is a finished data directory; something else in its place is an error."""
        cluster = self.places.cluster
        if (cluster / "PG_VERSION").exists():
            return True
        if cluster.exists() and any(cluster.iterdir()):
            raise ConfigurationError(
                f"Embedded Postgres: {cluster} is not a data directory of PostgreSQL: move it away."
            )
        return False

    def create(self) -> None:
        """Make the data directory beside its place and move it there when it is complete and on disk."""
        check_named(self.account)
        self.discard_unfinished()
        fresh = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=self.places.data_dir))
        if self.account.switch:
            os.chown(fresh, self.account.uid, self.account.gid)
        relink(self.places.new_link, fresh)
        try:
            self._initialise()
            fresh.rename(self.places.cluster)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        finally:
            self.places.new_link.unlink(missing_ok=True)
        _sync_folder(self.places.data_dir)
        self._mark_extensions()

    def discard_unfinished(self) -> None:
        """Remove what an interrupted initdb left."""
        for leftover in self.places.data_dir.glob("postgres.new-*"):
            shutil.rmtree(leftover, ignore_errors=True)

    def update_extensions(self) -> None:
        """After an upgrade of the binaries; the server must be stopped, and is recovered first if need be."""
        mark = self.places.data_dir / f"postgres.{EXTENSION_MARK}"
        if mark.exists() and mark.read_text(encoding="utf-8") == self._versions():
            return
        statements = [f"alter extension {name} update" for name in EXTENSIONS]
        self._single_user(self.places.link, DATABASE, statements, strict=False)
        self._mark_extensions()

    def _mark_extensions(self) -> None:
        mark = self.places.data_dir / f"postgres.{EXTENSION_MARK}"
        mark.write_text(self._versions(), encoding="utf-8")

    def _versions(self) -> str:
        folder = self.binaries.parent / "share"
        texts = {
            name: next(folder.rglob(f"{name}.control")).read_text(encoding="utf-8") for name in EXTENSIONS
        }
        found = {name: re.findall(r"default_version\s*=\s*'([^']*)'", text) for name, text in texts.items()}
        return "".join(f"{name} {' '.join(version)}\n" for name, version in found.items())

    def _initialise(self) -> None:
        link = self.places.new_link
        options = (
            *("--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions", "--no-sync"),
        )
        self._run("initdb", *options, "-D", os.fspath(link))
        self._single_user(link, "postgres", _ROLES.strip().splitlines())
        extensions = [f"create extension {name} schema public" for name in EXTENSIONS]
        self._single_user(link, DATABASE, extensions)
        if self.durable:
            self._run("initdb", "--sync-only", "-D", os.fspath(link))

    def _single_user(
        self, link: Path, database: str, statements: Sequence[str], *, strict: bool = True
    ) -> None:
        """Run one statement a line as the superuser, without a server."""
        self._run(
            *("postgres", "--single", "-D", os.fspath(link), "-c", f"cluster_name={self.places.name}"),
            *("-c", f"exit_on_error={'on' if strict else 'off'}", "-c", "log_checkpoints=off", database),
            input="".join(f"{statement}\n" for statement in statements),
        )

    def _run(self, name: str, *arguments: str, input: str = "") -> None:  # noqa: A002 - as subprocess calls it
        binary = self.binaries / name
        command = self.account.command(
            [os.fspath(binary), *arguments], reach=[binary, self._target(arguments)]
        )
        done = subprocess.run(  # noqa: S603 - our own command
            command, input=input.encode(), capture_output=True, cwd="/", env=ENVIRONMENT, check=False
        )
        if done.returncode != 0:
            self.log.write(done.stdout + done.stderr)
            reason = self.log.explain((done.stdout + done.stderr).decode(errors="replace"))
            raise ConfigurationError(f"Embedded Postgres: {name} failed: {reason}")

    def _target(self, arguments: Sequence[str]) -> Path:
        return Path(arguments[arguments.index("-D") + 1])

    def _server_version(self) -> str:
        command = [os.fspath(self.binaries / "postgres"), "--version"]
        done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=True)  # noqa: S603
        return done.stdout.split()[-1]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

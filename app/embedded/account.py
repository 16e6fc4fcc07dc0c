"""As whom Postgres runs: it refuses root, so root hands it to an unprivileged account."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.exceptions import ConfigurationError

DROP = Path(__file__).with_name("drop.py")


@dataclass(frozen=True, kw_only=True)
class Account:
    """``switch``: we are root and have to become this account first."""

    uid: int
    gid: int
    switch: bool

    def command(self, command: Sequence[str], *, reach: Sequence[Path]) -> list[str]:
        """``command`` as this account, which shall be able to reach the paths."""
        if not self.switch:
            return list(command)
        paths = [argument for path in reach for argument in ("--reach", os.fspath(path))]
        return [
            *(sys.executable, "-I", "-S", os.fspath(DROP), str(self.uid), str(self.gid)),
            *(*paths, "--", *command),
        ]


def choose_account(cluster: Path) -> Account:
    """The caller itself or, for root, the owner of the cluster, else ``postgres``, else ``nobody``.

    A cluster of somebody else, or one that root owns, raises ``ConfigurationError``.
    """
    owner = cluster.stat().st_uid if cluster.exists() else None
    if os.geteuid() != 0:
        if owner not in {None, os.geteuid()}:
            raise ConfigurationError(
                f"Embedded Postgres: {cluster} belongs to user id {owner}: run as that user,"
                " or choose another DATA_DIR."
            )
        return Account(uid=os.geteuid(), gid=os.getegid(), switch=False)
    if owner:
        return _account_of(owner, cluster.stat().st_gid)
    if owner == 0 and any(cluster.iterdir()):
        raise ConfigurationError(
            f"Embedded Postgres: {cluster} belongs to root, as whom PostgreSQL does not run:"
            " chown -R it to an unprivileged user, who will then run the server."
        )
    for name in ("postgres", "nobody"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(uid=found.pw_uid, gid=found.pw_gid, switch=True)
    raise ConfigurationError(
        "Embedded Postgres: PostgreSQL does not run as root, and there is no user postgres or nobody:"
        " add one, or run as an ordinary user."
    )


def _account_of(uid: int, gid: int) -> Account:
    with suppress(KeyError):  # an account without a name keeps the group of its folder
        gid = pwd.getpwuid(uid).pw_gid
    return Account(uid=uid, gid=gid, switch=True)


def check_named(account: Account) -> None:
    """initdb refuses a user id without a name."""
    try:
        pwd.getpwuid(account.uid)
    except KeyError:
        raise ConfigurationError(
            f"Embedded Postgres: user id {account.uid} has no line in /etc/passwd, as initdb needs: add one."
        ) from None

"""Become an unprivileged account and exec a command; run as a script by root, imports nothing of ours.

``DATA_DIR`` or the binaries may lie below a folder that only root may enter, such as /root. Instead of
opening that folder to all, the command then keeps one capability across exec, as an ambient one
(capabilities(7)): CAP_DAC_READ_SEARCH, or CAP_DAC_OVERRIDE where a container has only that or where only root
may execute the file. Elsewhere it keeps none.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2
CAP_SETPCAP = 8
PR_SET_KEEPCAPS = 8
PR_SET_SECUREBITS = 28
SECBIT_NO_SETUID_FIXUP = 4
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAPABILITY_VERSION_3 = 0x20080522
CANNOT = 78  # EX_CONFIG of sysexits.h

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _control(option: int, first: int, second: int) -> None:
    arguments = (ctypes.c_ulong(each) for each in (first, second, 0, 0))
    _check(_libc.prctl(option, *arguments))


def _set_capabilities(mask: int) -> None:
    """Effective, permitted and inheritable sets, of the low 32 capabilities; the high 32 are given up."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)
    _check(_libc.capset(header, data))


def _keep(capability: int, *, for_access: bool) -> bool:
    """Keep one capability across exec; ``for_access`` makes it count in access(2), too."""
    try:
        if for_access:
            _set_capabilities(1 << capability | 1 << CAP_SETPCAP)
            _control(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0)
        _set_capabilities(1 << capability)
        _control(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)
    except OSError:
        return False
    return True


def become(uid: int, gid: int, reach: Sequence[str]) -> str | None:
    """Drop to the account for good; returns a path out of its reach. ``reach[0]`` is the file to execute."""
    for_all = Path(reach[0]).stat().st_mode & stat.S_IXOTH
    capabilities = (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE) if for_all else (CAP_DAC_OVERRIDE,)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    _control(PR_SET_KEEPCAPS, 1, 0)
    os.setresuid(uid, uid, uid)
    # access(2) asks for the real user without capabilities, which is what we want to know here
    far = next((path for path in reach if not os.access(path, os.R_OK | os.X_OK)), None)
    if far is None:
        _set_capabilities(0)
        return None
    # initdb and postgres ask access(2) for themselves before they start
    if any(_keep(capability, for_access=far == reach[0]) for capability in capabilities):
        return None
    return far


def main() -> int:
    """Exec the command; returns only when that cannot be done."""
    parser = argparse.ArgumentParser()
    parser.add_argument("uid", type=int)
    parser.add_argument("gid", type=int)
    parser.add_argument("--reach", action="append", default=[])
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    try:
        far = become(arguments.uid, arguments.gid, arguments.reach)
        if far is None:
            os.execv(arguments.command[0], arguments.command)  # noqa: S606 - a fixed command of our own
    except OSError as error:
        print(f"tridesk: cannot run PostgreSQL as user id {arguments.uid}: {error}", file=sys.stderr)
        return CANNOT
    print(
        f"tridesk: user id {arguments.uid} cannot reach {far}: move it out of the private folder it lies in,"
        " run as an ordinary user, or grant the capability DAC_READ_SEARCH.",
        file=sys.stderr,
    )
    return CANNOT


if __name__ == "__main__":
    sys.exit(main())

"""Whether the locks still fit pyproject.toml, without asking an index; ``make lock`` makes them fit.

Run ``python requirements/check.py [FOLDER]``: one line a fault, exit code 1 when there is any. Every package
is pinned with hashes; the packages that a lock says were asked for directly are the ones that pyproject.toml
asks for, at versions it allows; a smaller lock (base, prod) has the very pins of the larger one (dev).
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

EXTRAS = {"base": [], "prod": ["prod"], "dev": ["dev"], "bench": ["bench"]}
SMALLER = (("base", "prod"), ("prod", "dev"))
DIRECT = "(pyproject.toml)"  # how the compiler marks what pyproject.toml asks for itself


@dataclass(frozen=True, kw_only=True, slots=True)
class Pin:
    """One entry of a lock."""

    requirement: Requirement
    hashes: int
    direct: bool

    @property
    def name(self) -> str:
        """The package's canonical name."""
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> str:
        """The pinned version; empty when it is not pinned."""
        match = re.fullmatch(r"==([^,*]+)", str(self.requirement.specifier))
        return match[1] if match else ""


def read_lock(path: Path) -> list[Pin]:
    """The entries of a compiled lock, whose continuation and comment lines are indented."""
    entries = re.split(r"\n(?=\S)", path.read_text(encoding="utf-8").strip())
    return [
        Pin(
            requirement=Requirement(entry.partition("\n")[0].rstrip(" \\")),
            hashes=len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", entry)),
            direct=DIRECT in entry,
        )
        for entry in entries
    ]


def asked_for(project: dict[str, Any], extras: list[str]) -> list[Requirement]:
    """The direct requirements of the project with those extras; its own extras are followed."""
    wanted = [Requirement(each) for each in project["dependencies"]]
    for extra in extras:
        for each in map(Requirement, project["optional-dependencies"][extra]):
            own = canonicalize_name(each.name) == canonicalize_name(project["name"])
            wanted += asked_for(project, sorted(each.extras)) if own else [each]
    return wanted


def faults(folder: Path) -> Iterator[str]:
    """What does not fit in that folder, which has pyproject.toml and requirements/."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    locks = {name: read_lock(folder / "requirements" / f"{name}.txt") for name in EXTRAS}
    for name, pins in locks.items():
        yield from (f"{name}: {pin.name} is not pinned" for pin in pins if not pin.version)
        yield from (f"{name}: {pin.name} has no hash" for pin in pins if not pin.hashes)
        yield from (f"{name}: {found}" for found in _direct_faults(pins, asked_for(project, EXTRAS[name])))
    for smaller, larger in SMALLER:
        known = {(pin.name, pin.version) for pin in locks[larger]}
        yield from (
            f"{smaller}: {pin.name} {pin.version} is not what {larger} has"
            for pin in locks[smaller]
            if (pin.name, pin.version) not in known
        )


def _direct_faults(pins: list[Pin], wanted: list[Requirement]) -> Iterator[str]:
    names = {canonicalize_name(each.name) for each in wanted}
    yield from (
        f"{pin.name} is locked but no longer asked for"
        for pin in pins
        if pin.direct and pin.name not in names
    )
    for each in wanted:
        versions = [pin.version for pin in pins if pin.name == canonicalize_name(each.name) and pin.direct]
        if not versions:
            yield f"{each.name} is asked for but not locked"
        elif not all(each.specifier.contains(version, prereleases=True) for version in versions):
            yield f"{each.name} is locked at {', '.join(versions)}, asked for as {each.specifier}"


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent
    found = list(faults(folder))
    for each in found:
        print(each)
    if found:
        sys.exit("the locks do not fit pyproject.toml: run `make lock`")
    print("The locks fit pyproject.toml.")


if __name__ == "__main__":
    main()

"""Which files are meant, and by what name each is known."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file; ``folder`` names the collection that it goes to unless another is given."""

    path: Path
    folder: str

    @property
    def name(self) -> str:
        """Its full path: two files of one relative path are two documents. Undecodable bytes as ``\\xNN``."""
        return as_text(os.fspath(self.path))


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A folder that could not be listed."""

    name: str
    reason: str


def collect_files(paths: Iterable[Path]) -> tuple[list[SourceFile], list[Unreadable]]:
    """Files at and below ``paths``, each once, in a stable order; folders that cannot be listed.

    Below a folder hidden files, links to folders and what is no regular file are left out; a link to a file
    is that file. What is named itself is taken whatever its name.
    """
    found: dict[Path, SourceFile] = {}
    unreadable: list[Unreadable] = []
    for given in paths:
        root = given.resolve()
        if not root.is_dir():
            found.setdefault(root, SourceFile(root, as_text(root.parent.name) or "files"))
            continue
        for path in _below(root, unreadable):
            inside = path.relative_to(root).parts
            folder = inside[0] if len(inside) > 1 else root.name
            target = path.resolve()
            found.setdefault(target, SourceFile(target, as_text(folder) or "files"))
    return list(found.values()), unreadable


def as_text(name: str) -> str:
    """A file name as text that can be stored and printed."""
    return os.fsencode(name).decode(errors="backslashreplace")


def _below(root: Path, unreadable: list[Unreadable]) -> Iterable[Path]:
    def note(error: OSError) -> None:
        unreadable.append(Unreadable(as_text(os.fspath(error.filename)), error.strerror or str(error)))

    for folder, folders, names in os.walk(root, onerror=note):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for name in sorted(names):
            path = Path(folder, name)
            if not name.startswith(".") and path.is_file():
                yield path

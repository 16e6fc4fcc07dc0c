"""Assignees as macros and views name them, and tags as they are added and taken away. Pure rules."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from app.exceptions import InvalidError
from app.technical.constants import NOBODY, OWN, TAGS_MAX


def assignee_of(named: str | None, *, me: UUID | None) -> UUID | None:
    """The id; ``me`` for ``"me"``, None for ``"none"``."""
    if named is None or named == NOBODY:
        return None
    return me if named == OWN else UUID(named)


def tags_with(
    present: Collection[str], *, add: Collection[str] = (), remove: Collection[str] = ()
) -> list[str]:
    """In lower case and order; what is both added and removed is removed. ``InvalidError`` for too many."""
    kept = {each.strip().lower() for each in (*present, *add)} - {each.strip().lower() for each in remove}
    if len(kept) > TAGS_MAX:
        message = f"A ticket has {TAGS_MAX} tags at most"
        raise InvalidError(f"add_tags: {message}", errors=[{"field": "add_tags", "message": message}])
    return sorted(kept)

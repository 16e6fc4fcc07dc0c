"""Who may read what: a document's audience against a reader's tokens; one rule for lists, search and answers."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ColumnElement, or_
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.types import Text

from app.identity import Principal
from app.rag.models import Answer, Chat, Document

STAFF = "staff"


def audience_tokens(audience: str) -> list[str]:
    """The stored array of an audience; staff read everything."""
    return [audience] if audience in ("public", STAFF) else [audience.lower(), STAFF]


def audience_name(tokens: list[str]) -> str:
    """The audience as people name it."""
    return next((token for token in tokens if token != STAFF), STAFF)


def readable(principal: Principal) -> ColumnElement[bool]:
    """Documents whose audience the reader belongs to."""
    return Document.audience.overlap(array(principal.audiences, type_=Text))  # type: ignore[attr-defined]  # ARRAY comparator


def owned(table: type[Answer] | type[Chat], principal: Principal) -> ColumnElement[bool]:
    """Rows of the reader: by person, or by key where the key stands for no person."""
    if principal.person_id is not None:
        return table.person_id == principal.person_id
    return (table.person_id.is_(None)) & (table.key_id == principal.key_id)


def answerable_to(table: type[Answer] | type[Chat], principal: Principal) -> ColumnElement[bool]:
    """Own rows; staff see all."""
    everything = table.id.is_not(None)
    return or_(owned(table, principal), everything) if principal.is_staff else owned(table, principal)


def rater_of(principal: Principal) -> UUID | None:
    """Whom a verdict belongs to."""
    return principal.person_id or principal.key_id



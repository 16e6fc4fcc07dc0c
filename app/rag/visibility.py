"""Who may read what: an audience against a reader's tokens; one rule for lists, search and answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Text, and_, cast, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY

from app.identity import Principal
from app.rag.models import Answer, Chat, Document, DocumentVersion

STAFF = "staff"
WIDEST_FIRST = ("public", "customers", "account", STAFF)


def audience_tokens(audience: str) -> list[str]:
    """The stored array of an audience; staff read everything."""
    return [audience] if audience in ("public", STAFF) else [audience.lower(), STAFF]


def audience_name(tokens: list[str]) -> str:
    """The audience as people name it."""
    return next((token for token in tokens if token != STAFF), STAFF)


def narrower(one: list[str], other: list[str]) -> list[str]:
    """The stored array of those who belong to both audiences; of two accounts that is staff alone."""
    if audience_name(one) == audience_name(other):
        return one
    wide, narrow = sorted((one, other), key=lambda tokens: WIDEST_FIRST.index(_kind(tokens)))
    return [STAFF] if _kind(wide) == _kind(narrow) else narrow


def _kind(tokens: list[str]) -> str:
    return audience_name(tokens).partition(":")[0]


def readable(
    principal: Principal, table: type[Document] | type[DocumentVersion] = Document
) -> ColumnElement[bool]:
    """Rows whose audience the reader belongs to; a version has an audience of its own."""
    audience: Any = table.audience  # the comparator of ARRAY, which the mapped type hides
    overlaps: ColumnElement[bool] = audience.overlap(cast(list(principal.audiences), ARRAY(Text)))
    return overlaps


def seen(principal: Principal) -> ColumnElement[bool]:
    """Documents that a list or a get may show: to staff all; to others what is served to them, and in force.

    The served version has an audience of its own: a title that was staff's stays staff's until a version for
    more readers is served.
    """
    if principal.is_staff:
        return readable(principal)
    served = select(DocumentVersion.number).where(
        DocumentVersion.document_id == Document.id,
        DocumentVersion.number == Document.served_version,
        readable(principal, DocumentVersion),
    )
    begun = or_(Document.valid_from.is_(None), Document.valid_from <= func.now())
    return and_(readable(principal), served.exists(), begun)


def as_of(principal: Principal, moment: datetime | None) -> datetime | None:
    """The date a search may be asked for: what is not yet in force is nobody's but staff's."""
    if moment is None or principal.is_staff:
        return moment
    return min(moment, datetime.now(UTC))


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

"""What an uploader hands over, and what is wrong with it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.exceptions import InvalidError, UnprocessableError
from app.identity.models import Account
from app.parsing import MediaType, sniff
from app.rag.exceptions import InvalidValidityError, UnknownAccountError
from app.rag.service import collections
from app.rag.visibility import WIDEST_FIRST, audience_tokens
from app.redaction import redact

PLAIN_TEXTS = frozenset({MediaType.MARKDOWN, MediaType.MDX, MediaType.HTML, MediaType.RST, MediaType.PLAIN})
LONGEST_SOURCE = 2_000  # bytes; it stands in an index, whose rows are bounded


@dataclass(frozen=True, kw_only=True, slots=True)
class Upload:
    """A file or text with what its uploader says of it."""

    collection_id: UUID
    content: bytes
    filename: str | None = None
    media_type: str | None = None
    title: str | None = None
    audience: str = "staff"
    source: str | None = None
    product: str | None = None
    product_version: str | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None


def inspect(upload: Upload) -> tuple[str, str, bytes]:
    """(media type, SHA-256 of the content as it came, the content to store).

    Plain texts are stored without payment card numbers; of other files the text is, when it is parsed, and
    the bytes stay. Some tenths of a second for the largest: call it in a thread.
    """
    media_type = sniff(upload.content, filename=upload.filename, media_type=upload.media_type)
    content = _without_cards(upload.content) if media_type in PLAIN_TEXTS else upload.content
    return media_type, hashlib.sha256(upload.content).hexdigest(), content


def _without_cards(content: bytes) -> bytes:
    """Read byte by byte where it is not UTF-8: digits are the same in every encoding that extends ASCII."""
    try:
        text, encoding = content.decode(), "utf-8"
    except UnicodeDecodeError:
        text, encoding = content.decode("latin-1"), "latin-1"
    redacted = redact(text)
    return content if redacted == text else redacted.encode(encoding)


async def check(session: AsyncSession, upload: Upload) -> None:
    """Raise for a description that cannot be stored or names what does not exist."""
    _check_fields(upload)
    await collections.get(session, upload.collection_id)
    await check_audience(session, upload.audience)


def describe(upload: Upload, media_type: str) -> dict[str, Any]:
    """The columns of a document that come from its upload."""
    title = None if upload.title is None else redact(upload.title)
    return {
        "collection_id": upload.collection_id,
        "title": title or upload.filename or upload.source or "Untitled",
        "declared_title": title,
        "source": upload.source or None,
        "filename": upload.filename,
        "media_type": media_type,
        "audience": audience_tokens(upload.audience),
        "product": upload.product,
        "product_version": upload.product_version,
        "valid_from": upload.valid_from,
        "valid_until": upload.valid_until,
    }


def check_validity(valid_from: datetime | None, valid_until: datetime | None) -> None:
    """``InvalidValidityError`` for what ends before it begins."""
    if valid_from and valid_until and valid_from >= valid_until:
        raise InvalidValidityError("valid_from must be before valid_until.")


def _check_fields(upload: Upload) -> None:
    check_validity(upload.valid_from, upload.valid_until)
    for name in ("source", "filename", "title", "product", "product_version"):
        value = getattr(upload, name) or ""
        try:
            size = len(value.encode())
        except UnicodeEncodeError:  # a file name of undecodable bytes has lone surrogates
            raise _invalid(name, "Must be valid Unicode") from None
        if "\0" in value:
            raise _invalid(name, "Must not contain NUL")
        if name == "source" and size > LONGEST_SOURCE:
            raise _invalid(name, f"Must not be longer than {LONGEST_SOURCE} bytes")


def _invalid(field: str, message: str) -> InvalidError:
    return InvalidError(f"{field}: {message}", errors=[{"field": field, "message": message}])


async def check_audience(session: AsyncSession, audience: str) -> None:
    """``UnprocessableError`` for what is no audience, ``UnknownAccountError`` for an account that is not."""
    if audience in WIDEST_FIRST and audience != "account":
        return
    try:
        kind, _, name = audience.partition(":")
        account_id = UUID(name) if kind == "account" else None
    except ValueError:
        account_id = None
    if account_id is None:
        raise UnprocessableError("The audience is public, customers, staff or account:<account id>.")
    if not await session.scalar(select(func.count()).where(Account.id == account_id)):
        raise UnknownAccountError("The audience names an account that does not exist.")

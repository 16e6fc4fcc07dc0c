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
from app.parsing import sniff
from app.rag.exceptions import InvalidValidityError, UnknownAccountError
from app.rag.service import collections
from app.rag.visibility import WIDEST_FIRST, audience_tokens

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


def inspect(upload: Upload) -> tuple[str, str]:
    """(media type, SHA-256) of the content; some tenths of a second for the largest: call it in a thread."""
    media_type = sniff(upload.content, filename=upload.filename, media_type=upload.media_type)
    return media_type, hashlib.sha256(upload.content).hexdigest()


async def check(session: AsyncSession, upload: Upload) -> None:
    """Raise for a description that cannot be stored or names what does not exist."""
    _check_fields(upload)
    await collections.get(session, upload.collection_id)
    await _check_account(session, upload.audience)


def describe(upload: Upload, media_type: str) -> dict[str, Any]:
    """The columns of a document that come from its upload."""
    return {
        "collection_id": upload.collection_id,
        "title": upload.title or upload.filename or upload.source or "Untitled",
        "declared_title": upload.title,
        "source": upload.source or None,
        "filename": upload.filename,
        "media_type": media_type,
        "audience": audience_tokens(upload.audience),
        "product": upload.product,
        "product_version": upload.product_version,
        "valid_from": upload.valid_from,
        "valid_until": upload.valid_until,
    }


def _check_fields(upload: Upload) -> None:
    if upload.valid_from and upload.valid_until and upload.valid_from >= upload.valid_until:
        raise InvalidValidityError("valid_from must be before valid_until.")
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


async def _check_account(session: AsyncSession, audience: str) -> None:
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

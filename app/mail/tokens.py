"""Signed tokens: which thread a reply belongs to, and which mail's reader wants no more of them.

HMAC-SHA256 over purpose and ids, cut to 80 bits for the address of a reply, which has room for no more: a
guess costs a mail. Neither token holds an address or anything else about a person.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from uuid import UUID

from app.events import Subject

REPLY_MAC = 10  # bytes; with the id 26, which are 42 letters of base32
REPLY_LENGTH = 42
UNSUBSCRIBE_MAC = 16


def reply_token(secret: str, subject: Subject) -> str:
    """42 lower-case letters and digits: an address's case is not kept on every way. Does not expire."""
    return _letters(subject.id.bytes + _mac(secret, _reply(subject.type, subject.id))[:REPLY_MAC])


def read_reply_token(secret: str, token: str, *, types: Iterable[str]) -> Subject | None:
    """The thread that a token names, of one of these types; None when it is not one of ours.

    The type is not in the token but under its signature.
    """
    raw = _raw(token, REPLY_LENGTH)
    if raw is None:
        return None
    identity, mac = UUID(bytes=raw[:16]), raw[16:]
    found = None
    for kind in types:
        if hmac.compare_digest(_mac(secret, _reply(kind, identity))[:REPLY_MAC], mac):
            found = Subject(kind, identity)
    return found


def unsubscribe_token(secret: str, mail_id: UUID) -> str:
    """For the link in an outgoing mail; the mail knows address and scope. Does not expire."""
    return _letters(mail_id.bytes + _mac(secret, b"unsubscribe:" + mail_id.bytes)[:UNSUBSCRIBE_MAC])


def read_unsubscribe_token(secret: str, token: str) -> UUID | None:
    """Id of the outgoing mail; None when the token is not one of ours."""
    raw = _raw(token, 52)
    if raw is None:
        return None
    mail_id = UUID(bytes=raw[:16])
    expected = _mac(secret, b"unsubscribe:" + mail_id.bytes)[:UNSUBSCRIBE_MAC]
    return mail_id if hmac.compare_digest(expected, raw[16:]) else None


def _reply(kind: str, identity: UUID) -> bytes:
    return b"reply:" + kind.encode() + b":" + identity.bytes


def _mac(secret: str, message: bytes) -> bytes:
    return hmac.digest(secret.encode(), message, hashlib.sha256)


def _letters(raw: bytes) -> str:
    return base64.b32encode(raw).decode().rstrip("=").lower()


def _raw(token: str, length: int) -> bytes | None:
    if len(token) != length or not token.isascii():
        return None
    try:
        raw = base64.b32decode(token.upper() + "=" * (-length % 8))
    except binascii.Error:
        return None
    return raw if _letters(raw) == token.lower() else None  # the last letter has bits that mean nothing

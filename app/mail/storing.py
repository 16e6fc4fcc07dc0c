"""What of a raw mail may be kept: everything but card numbers in its text."""

from __future__ import annotations

import re
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from typing import Any, TypeAlias

from app.mail.bodies import text_of, walk
from app.redaction import redact

AnyMessage: TypeAlias = "Message[Any, Any]"
# Long runs of base64 are files or encoded text: no number can be read in them as they stand.
BASE64 = re.compile(rb"(?:^[A-Za-z0-9+/]{60,76}=*\r?\n){2,}(?:^[A-Za-z0-9+/=]{1,76}\r?$)?", re.MULTILINE)


def storable(raw: bytes) -> bytes:
    """The mail with card numbers redacted (PRODUCT: none is ever stored). Raises nothing.

    A mail without any comes back byte by byte. Numbers inside of files stay: those are not texts.
    """
    pieces: list[bytes] = []
    end = 0
    for encoded in BASE64.finditer(raw):
        pieces += [_redacted(raw[end : encoded.start()]), encoded[0]]
        end = encoded.end()
    pieces.append(_redacted(raw[end:]))
    return _without_encoded_numbers(b"".join(pieces))


def _redacted(data: bytes) -> bytes:
    text = data.decode("utf-8", "surrogateescape")
    return redact(text).encode("utf-8", "surrogateescape")


def _without_encoded_numbers(raw: bytes) -> bytes:
    """Text that is encoded as a whole is read and, when there is a number in it, written anew."""
    if b"base64" not in raw.lower():
        return raw
    try:
        message = BytesParser(policy=compat32).parsebytes(raw)
        parts = walk(message)
        touched = [part for part in (*parts.plain, *parts.html) if _rewrite(part)]
        return message.as_bytes() if touched else raw
    except (RecursionError, ValueError, IndexError, TypeError, AttributeError, LookupError):
        return raw  # unreadable: it becomes nobody's text


def _rewrite(part: AnyMessage) -> bool:
    if part.get("content-transfer-encoding", "").strip().lower() != "base64":
        return False
    text = text_of(part)
    redacted = redact(text)
    if redacted == text:
        return False
    del part["content-transfer-encoding"]
    part.set_payload(redacted.encode("utf-8", "replace"), "utf-8")
    return True

"""The parts of a message: its readable text and its files."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from email.message import Message
from typing import Any, TypeAlias, cast

from app.knowledge import MailAttachment
from app.mail.constants import NAME_MAX, PARAMETERS_MAX, PARTS_MAX, TEXT_MAX
from app.mail.headers import words
from app.mail.quoting import split_html, split_text
from app.parsing.cleaning import clean
from app.parsing.decoding import decode
from app.parsing.exceptions import ParsingError

AnyMessage: TypeAlias = "Message[Any, Any]"
MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,100}/[a-z0-9!#$&^_.+-]{1,100}")
UNKNOWN = "application/octet-stream"
# Outlook's wrapping of what the mail holds anyway; nobody else can open it.
IGNORED = frozenset({"application/ms-tnef", "application/vnd.ms-tnef"})
REPORTS = frozenset({"message/delivery-status", "message/disposition-notification", "text/rfc822-headers"})


@dataclass(slots=True)
class Parts:
    """Leaves of a message, in order."""

    plain: list[AnyMessage] = field(default_factory=list)
    html: list[AnyMessage] = field(default_factory=list)
    files: list[AnyMessage] = field(default_factory=list)


def walk(message: AnyMessage) -> Parts:
    """Sort the leaves; the first ``PARTS_MAX`` parts. Iterative: they may be nested deep."""
    parts = Parts()
    stack, seen = [message], 0
    while stack and seen < PARTS_MAX:
        part = stack.pop()
        seen += 1
        kind = media_type(part)
        if kind == "message/rfc822":  # a forwarded mail is a file of this one, not more of its text
            parts.files.append(part)
        elif part.is_multipart():
            stack.extend(reversed(cast("list[AnyMessage]", part.get_payload())))
        elif kind in IGNORED or kind in REPORTS:
            continue
        elif kind in ("text/plain", "text/html") and not _is_attached(part):
            (parts.plain if kind == "text/plain" else parts.html).append(part)
        else:
            parts.files.append(part)
    return parts


def media_type(part: AnyMessage) -> str:
    """Its declared type in lower case; ``application/octet-stream`` for what cannot be one."""
    if len(str(part.get("content-type", ""))) > PARAMETERS_MAX:
        return UNKNOWN
    try:
        declared = part.get_content_type().lower()
    except (ValueError, IndexError, TypeError, AttributeError, LookupError):
        return UNKNOWN
    return declared if MEDIA_TYPE.fullmatch(declared) else UNKNOWN


def readable_text(parts: Parts) -> tuple[str, str]:
    """(what the author wrote, history and signature): of the plain text if there is one, else of the HTML."""
    plain = clean("\n\n".join(filter(str.strip, (text_of(part) for part in parts.plain))))[:TEXT_MAX]
    if plain.strip():
        return split_text(plain)
    html = "\n".join(text_of(part) for part in parts.html)[: 4 * TEXT_MAX]
    new, quoted = split_html(html) if html.strip() else ("", "")
    return new[:TEXT_MAX], quoted[:TEXT_MAX]


def text_of(part: AnyMessage) -> str:
    """Its decoded text, by the declared character set or what else fits."""
    data = _payload(part)
    charset = _parameter(part.get_content_charset)
    try:
        return data.decode(charset or "utf-8")
    except (LookupError, ValueError, TypeError, AssertionError):
        pass
    try:
        return decode(data, declared=charset)
    except ParsingError:
        return data.decode("cp1252", "replace")


def _payload(part: AnyMessage) -> bytes:
    try:
        payload = part.get_payload(decode=True)
    except (ValueError, IndexError, TypeError, AttributeError, LookupError):
        return b""
    return payload if isinstance(payload, bytes) else b""


def _parameter(read: Any) -> str | None:
    try:
        value = read()
    except (ValueError, IndexError, TypeError, AttributeError, LookupError):
        return None
    return value if isinstance(value, str) else None


def _is_attached(part: AnyMessage) -> bool:
    disposition = str(part.get("content-disposition", ""))[:PARAMETERS_MAX].lstrip().lower()
    return disposition.startswith("attachment")


def attachment_of(part: AnyMessage, number: int, *, longest_name: int) -> MailAttachment:
    """A file with a name that is safe to show: no folders, no controls, never empty."""
    kind = media_type(part)
    if kind == "message/rfc822":
        inner = part.get_payload()
        whole = inner[0] if isinstance(inner, list) and inner else part
        content, fallback = _bytes_of(cast("AnyMessage", whole)), f"message-{number}.eml"
    else:
        content, fallback = _payload(part), f"attachment-{number}"
    named = ""
    if all(
        len(str(part.get(name, ""))) <= PARAMETERS_MAX for name in ("content-type", "content-disposition")
    ):
        named = words(_parameter(part.get_filename) or "", maximum=1000)
    name = posixpath.basename(named.replace("\\", "/")).strip(". ")
    content_id = words(part.get("content-id", ""), maximum=NAME_MAX).strip("<> ")
    return MailAttachment(
        filename=_shortened(name, longest_name) or fallback,
        media_type=kind,
        content=content,
        content_id=content_id or None,
    )


def _shortened(name: str, longest: int) -> str:
    stem, dot, extension = name.rpartition(".")
    if len(name) <= longest or not stem or len(extension) > 20:
        return name[:longest]
    return stem[: longest - len(extension) - 1] + dot + extension


def _bytes_of(message: AnyMessage) -> bytes:
    try:
        return message.as_bytes()
    except (ValueError, IndexError, TypeError, AttributeError, LookupError, RecursionError):
        return b""

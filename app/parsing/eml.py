"""E-mail by the standard library: subject, sender, date and the readable part; attachments are left out."""

from __future__ import annotations

import email.policy
import re
from email.message import EmailMessage
from email.parser import BytesParser
from typing import cast

from app.parsing.blocks import BlockKind, Limits, Parsed, TextBuilder
from app.parsing.cleaning import clean, clean_inline
from app.parsing.decoding import decode
from app.parsing.exceptions import Code, ParsingError
from app.parsing.html import render_fragment
from app.parsing.plain import add_plain

_SIGNATURE = re.compile(r"^-- $", re.MULTILINE)
_HISTORY = re.compile(
    r"^(?:On .{5,200} wrote:|Am .{5,200} schrieb .{1,100}:|-{3,} ?Original Message ?-{3,})$", re.MULTILINE
)
_QUOTED_RUN = re.compile(r"((?:^[ \t]*>[^\n]*(?:\n|\Z))+)", re.MULTILINE)


def parse(data: bytes, *, media_type: str, limits: Limits) -> Parsed:
    """Read a message. The plain text part is preferred; quoted history and the signature are blocks of
    their own.
    """
    message = BytesParser(policy=email.policy.default).parsebytes(data)
    if not message.keys():
        raise ParsingError("the message has no header", code=Code.FILE_CORRUPT)
    builder = TextBuilder(limits)
    head = [f"{name}: {_header(message, name)}" for name in ("From", "Date") if _header(message, name)]
    body = _body(message, limits)
    if body.blocks:
        builder.add(BlockKind.PARAGRAPH, "\n".join(head))
        builder.extend(body)
    return builder.build(media_type=media_type, title=_header(message, "Subject") or None)


def _header(message: EmailMessage, name: str) -> str:
    """A header's text; a malformed one makes the library raise on access."""
    try:
        return clean_inline(str(message.get(name, "")))
    except (ValueError, IndexError, TypeError, AttributeError, KeyError):
        return ""


def _body(message: EmailMessage, limits: Limits) -> TextBuilder:
    for part in _readable(message):
        text = _content(part)
        if part.get_content_subtype() == "html":
            builder = render_fragment(text, limits)
        else:
            builder = TextBuilder(limits)
            _add_text(builder, clean(text))
        if builder.blocks:
            return builder
    return TextBuilder(limits)


def _readable(message: EmailMessage) -> list[EmailMessage]:
    """Inline text parts, plain ones first. An iterative walk: parts may be nested without end."""
    found: dict[str, list[EmailMessage]] = {"plain": [], "html": []}
    stack = [message]
    while stack:
        part = stack.pop()
        if part.get_content_disposition() == "attachment":
            continue
        if part.is_multipart():
            stack.extend(reversed(cast("list[EmailMessage]", part.get_payload())))
        elif part.get_content_maintype() == "text" and part.get_content_subtype() in found:
            found[part.get_content_subtype()].append(part)
    return found["plain"] + found["html"]


def _content(part: EmailMessage) -> str:
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    charset = part.get_content_charset()
    try:
        return data.decode(charset or "utf-8")
    except (LookupError, UnicodeDecodeError):
        return decode(data, declared=charset)


def _add_text(builder: TextBuilder, text: str) -> None:
    signature = list(_SIGNATURE.finditer(text))
    body, below = (text[: signature[-1].start()], text[signature[-1].end() :]) if signature else (text, "")
    history = _HISTORY.search(body)
    new, old = (body[: history.start()], body[history.start() :]) if history else (body, "")
    # A quote may follow its introduction without a blank line between.
    add_plain(builder, _QUOTED_RUN.sub(r"\n\1\n", new))
    for quoted in (_QUOTED_RUN.sub(r"\n\1\n", old), below):
        part = TextBuilder(builder.limits)
        add_plain(part, quoted)
        text_of = "".join(part.parts)
        for block in part.blocks:
            builder.add(BlockKind.QUOTE, text_of[block.start : block.end])

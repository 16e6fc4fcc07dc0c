"""A raw message (RFC 5322) as one value that rules can be asked about.

The standard library takes a message apart with its older policy: it keeps header values raw, so that
``headers`` can read them within limits. Bodies are decoded and cut here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser, BytesParser
from email.policy import compat32
from typing import Any, TypeAlias

from app.knowledge import MailAttachment
from app.mail.bodies import attachment_of, readable_text, walk
from app.mail.constants import (
    ATTACHMENTS_MAX,
    FILENAME_MAX,
    RECIPIENTS_MAX,
    REFERENCES_MAX,
    TITLE_MAX,
)
from app.mail.exceptions import UnreadableMailError
from app.mail.headers import mailboxes, message_ids, unfolded, words

AnyMessage: TypeAlias = "Message[Any, Any]"
# Where the receiving server wrote down whom the mail was for, the surest first.
RECIPIENT_HEADERS = ("delivered-to", "x-original-to", "envelope-to", "x-forwarded-to", "to", "cc")
HEADER_END = re.compile(rb"\r?\n\r?\n")
LINE_END = re.compile(rb"\r\n?")
DMARC_FAILED = re.compile(r"\bdmarc\s*=\s*fail\b", re.IGNORECASE)
# What no retry of a provider and no second way to us changes; the headers of the way differ.
IDENTIFYING = ("message-id", "from", "to", "cc", "date", "subject", "in-reply-to", "references")


@dataclass(frozen=True, kw_only=True, slots=True)
class Mail:
    """A mail as read. Header names of ``headers`` are in lower case; ids have no brackets."""

    message_id: str
    sender: str
    sender_name: str
    recipients: tuple[str, ...]
    title: str
    in_reply_to: tuple[str, ...]
    references: tuple[str, ...]
    headers: Mapping[str, tuple[str, ...]]
    text: str
    quoted: str
    attachments: tuple[MailAttachment, ...]
    message: AnyMessage

    def header(self, name: str) -> str:
        """The first value of a header on one line; empty when it is not there."""
        return next(iter(self.headers.get(name, ())), "")

    @property
    def is_forged(self) -> bool:
        """Whether a server on the way found that the sender's domain disowns the mail (RFC 8601, RFC 7489).

        A forger can add such a header, too, but only to his own harm: ``pass`` is never believed.
        """
        return any(DMARC_FAILED.search(each) for each in self.headers.get("authentication-results", ()))


@dataclass(frozen=True, slots=True)
class Identity:
    """What a mail is recognised by before it is read: its Message-ID, and a SHA-256 of its content."""

    message_id: str
    fingerprint: bytes


def identify(raw: bytes) -> Identity:
    """Without a Message-ID one is derived from the content. Raises nothing."""
    match = HEADER_END.search(raw)
    head, body = (raw[: match.start()], raw[match.end() :]) if match else (raw, b"")
    headers = _headers(BytesHeaderParser(policy=compat32).parsebytes(head))
    running = hashlib.sha256()
    for name in IDENTIFYING:
        value = "\x1f".join(headers.get(name, ())).encode("utf-8", "replace")
        running.update(len(value).to_bytes(8) + value)
    running.update(LINE_END.sub(b"\n", body).rstrip(b"\n"))
    if not headers:  # nothing to tell it apart by but itself
        running.update(raw)
    fingerprint = running.digest()
    given = message_ids(headers.get("message-id", ()), maximum=1)
    return Identity(given[0] if given else f"{fingerprint.hex()}@derived.invalid", fingerprint)


def read(raw: bytes) -> Mail:
    """Take a message apart; ``UnreadableMailError`` when it has no sender or no end of nested parts."""
    try:
        message = BytesParser(policy=compat32).parsebytes(raw)
    except (RecursionError, ValueError, IndexError, TypeError, AttributeError, LookupError) as error:
        raise UnreadableMailError("malformed") from error
    headers = _headers(message)
    senders = mailboxes(headers.get("from", ()), maximum=2)
    if len(senders) != 1:  # several are allowed to a mail, but nobody could say whose words these are
        raise UnreadableMailError("several_senders" if senders else "no_sender")
    name, address = senders[0]
    recipients = mailboxes(
        (value for header in RECIPIENT_HEADERS for value in headers.get(header, ())), maximum=RECIPIENTS_MAX
    )
    parts = walk(message)
    text, quoted = readable_text(parts)
    return Mail(
        message_id=identify(raw).message_id,
        sender=address,
        sender_name=name,
        recipients=tuple(dict.fromkeys(address for _, address in recipients)),
        title=words(next(iter(headers.get("subject", ())), ""), maximum=TITLE_MAX),
        in_reply_to=tuple(message_ids(headers.get("in-reply-to", ()), maximum=REFERENCES_MAX)),
        references=tuple(message_ids(headers.get("references", ()), maximum=REFERENCES_MAX)),
        headers=headers,
        text=text,
        quoted=quoted,
        attachments=tuple(
            attachment_of(part, number, longest_name=FILENAME_MAX)
            for number, part in enumerate(parts.files[:ATTACHMENTS_MAX], start=1)
        ),
        message=message,
    )


def _headers(message: AnyMessage) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name, value in message.raw_items():
        lowered = str(name).lower()
        found[lowered] = (*found.get(lowered, ()), unfolded(value))
    return found

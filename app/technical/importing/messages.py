"""Messages in an export: Zendesk's comments, Zammad's articles, our own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

import msgspec

from app.conversations.constants import BODY_MAX_BYTES, HTML_MAX_BYTES, BodyFormat, MessageKind, Speaker
from app.technical.importing import values as read
from app.technical.importing.incoming import FieldProblem, IncomingMessage, PersonRef, RowRefusedError
from app.technical.importing.values import ValueRefusedError

MESSAGES_MAX = 5_000  # of a ticket, as many as Zendesk has
FIRST = "first"  # key of what opened the ticket, whether an export has it as a comment or as a description
SPEAKERS: Mapping[str, Speaker] = {
    "customer": Speaker.customer,
    "end-user": Speaker.customer,
    "agent": Speaker.staff,
    "admin": Speaker.staff,
    "staff": Speaker.staff,
    "system": Speaker.machine,
    "machine": Speaker.machine,
}


def first_message(body: str, body_format: BodyFormat, *, at: datetime, author: PersonRef) -> IncomingMessage:
    """The description, as what the requester wrote first."""
    return IncomingMessage(FIRST, body, body_format, MessageKind.public, at, author, Speaker.customer)


def messages_of(
    value: Any, *, created_at: datetime, now: datetime, zone: tzinfo, notes: list[tuple[str, str]]
) -> list[IncomingMessage]:
    """Messages in the order of their times; those without words are left out.

    ``created_at``: the ticket's, for a message that tells no time. Errors: ``RowRefusedError``,
    ``ValueRefusedError``.
    """
    given = _as_list(value)
    if len(given) > MESSAGES_MAX:
        raise ValueRefusedError(f"More than {MESSAGES_MAX} messages")
    made = []
    for index, each in enumerate(given):
        try:
            message = _message(each, index, created_at=created_at, now=now, zone=zone)
        except ValueRefusedError as problem:
            raise RowRefusedError(FieldProblem(f"messages[{index}]", str(problem))) from None
        if each.get("attachments"):
            notes.append(("messages", "Attachments are not imported"))
        if message is not None:
            made.append(message)
    made.sort(key=lambda message: message.created_at)
    if made:
        made[0].key = FIRST
    return made


def _as_list(value: Any) -> Sequence[Mapping[str, Any]]:
    if isinstance(value, str) and value.strip():
        try:
            value = msgspec.json.decode(value)
        except msgspec.DecodeError:
            raise ValueRefusedError("Expected a JSON list") from None
    if not value:
        return []
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise ValueRefusedError("Expected a list of objects")
    return value


def _message(
    given: Mapping[str, Any], index: int, *, created_at: datetime, now: datetime, zone: tzinfo
) -> IncomingMessage | None:
    body, body_format = _body(given)
    if not body.strip():
        return None
    at = read.moment_of(given.get("created_at"), now=now, zone=zone) or created_at
    author = _author(given)
    identity = read.told(given.get("id"))
    if identity is None:
        told = f"{index}\0{author.email or author.id or author.name}\0{given.get('created_at')}"
        identity = hashlib.blake2b(told.encode("utf-8", "replace"), digest_size=12).hexdigest()
    return IncomingMessage(identity, body, body_format, _kind(given), at, author, _speaker(given))


def _body(given: Mapping[str, Any]) -> tuple[str, BodyFormat]:
    """Zammad says what its body is; Zendesk's ``body`` is plain, beside an ``html_body``."""
    body = read.text_of(given.get("body"))
    told = read.text_of(given.get("content_type") or given.get("body_format") or given.get("format"))
    kind = BodyFormat.html if "html" in told else BodyFormat.text
    if "markdown" in told:
        kind = BodyFormat.markdown
    if not body.strip():
        plain, rich = read.text_of(given.get("plain_body")), read.text_of(given.get("html_body"))
        body, kind = (plain, BodyFormat.text) if plain.strip() else (rich, BodyFormat.html)
    maximum = HTML_MAX_BYTES if kind is BodyFormat.html else BODY_MAX_BYTES
    if len(body.encode()) > maximum:
        raise ValueRefusedError(f"Has more than {maximum} bytes")
    return body, kind


def _kind(given: Mapping[str, Any]) -> MessageKind:
    if read.text_of(given.get("kind")) in {MessageKind.note, MessageKind.system}:
        return MessageKind.note
    public, internal = read.as_flag(given.get("public")), read.as_flag(given.get("internal"))
    return MessageKind.note if public is False or internal is True else MessageKind.public


def _speaker(given: Mapping[str, Any]) -> Speaker | None:
    author = given.get("author")
    role = author.get("role") if isinstance(author, dict) else None
    told = read.told(given.get("sender") or given.get("speaker") or role)
    return SPEAKERS.get(told.lower()) if told else None


def _author(given: Mapping[str, Any]) -> PersonRef:
    author = given.get("author")
    if isinstance(author, dict):
        return person_of(author)
    name, email = read.address_of(read.told(author if author is not None else given.get("from")))
    _, told = read.address_of(read.told(given.get("author_email") or given.get("created_by")))
    return PersonRef(
        id=read.told(given.get("author_id")),
        email=email or told,
        name=read.told(given.get("author_name")) or name,
    )


def person_of(value: Mapping[str, Any]) -> PersonRef:
    """Of an object with ``id``, ``external_id``, ``email`` and ``name``."""
    _, email = read.address_of(read.told(value.get("email")))
    return PersonRef(
        id=read.told(value.get("id") or value.get("person_id")),
        external_id=read.told(value.get("external_id")),
        email=email,
        name=read.told(value.get("name")),
    )

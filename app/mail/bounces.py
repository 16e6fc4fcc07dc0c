"""Delivery reports (RFC 3464): which of our mails could not be delivered, and whether it ever can."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from typing import Any, TypeAlias, cast

from app.mail.bodies import media_type
from app.mail.constants import PARTS_MAX
from app.mail.headers import mailboxes, message_ids, unfolded
from app.mail.reading import Mail

AnyMessage: TypeAlias = "Message[Any, Any]"
STATUS = re.compile(r"\s*([245])\.(\d{1,3})\.(\d{1,3})\b")
# Permanent by their number, not by their nature: a full mailbox, and a server's judgement of this one mail.
MENDABLE = re.compile(r"\s*5\.(?:2\.2|7\.\d{1,3})\b")
MESSAGE_ID_LINE = re.compile(r"^message-id:(.{1,1000})$", re.IGNORECASE | re.MULTILINE)
RECIPIENTS_MAX = 20


@dataclass(frozen=True, slots=True)
class Bounce:
    """What a report says of one recipient. ``message_ids``: of the mail, from its returned headers."""

    address: str
    status: str
    message_ids: tuple[str, ...]

    @property
    def is_hard(self) -> bool:
        """Whether it is no use to write to this address again."""
        return self.status.startswith("5.") and not MENDABLE.match(self.status)


def bounces(mail: Mail) -> list[Bounce]:
    """Failed recipients of a delivery report; none for other mail. Raises nothing."""
    failures: list[tuple[str, str]] = []
    returned: list[str] = []
    for part in _parts(mail.message):
        kind = media_type(part)
        if kind == "message/delivery-status":
            failures += filter(None, map(_failure, _blocks(part)))
        elif kind == "message/rfc822":
            returned += [_first(each, "message-id") for each in _blocks(part)]
        elif kind == "text/rfc822-headers":
            returned += MESSAGE_ID_LINE.findall(str(part.get_payload())[:65_536])
    ids = tuple(message_ids(returned, maximum=10))
    return [Bounce(address, status, ids) for address, status in failures[:RECIPIENTS_MAX]]


def _parts(message: AnyMessage) -> Iterator[AnyMessage]:
    stack, seen = [message], 0
    while stack and seen < PARTS_MAX:
        part = stack.pop()
        seen += 1
        yield part
        if part.is_multipart() and media_type(part).startswith("multipart/"):
            stack.extend(reversed(_blocks(part)))


def _blocks(part: AnyMessage) -> list[AnyMessage]:
    payload = part.get_payload()
    return cast("list[AnyMessage]", payload) if isinstance(payload, list) else []


def _failure(block: AnyMessage) -> tuple[str, str] | None:
    """(address, enhanced status) of a block about a recipient that failed."""
    if _first(block, "action").strip().lower() != "failed":
        return None
    status = STATUS.match(_first(block, "status"))
    for name in ("original-recipient", "final-recipient"):
        _, _, address = _first(block, name).partition(";")
        if found := mailboxes([address], maximum=1):
            return found[0][1], status[0].strip() if status else ""
    return None


def _first(message: AnyMessage, name: str) -> str:
    return unfolded(message.get(name, ""))

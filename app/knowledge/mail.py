"""Mail and the desks that take it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.knowledge.threads import Thread


@dataclass(frozen=True, kw_only=True, slots=True)
class MailAttachment:
    """A file of a mail, as its sender names it: neither the name nor the type is to be trusted."""

    filename: str
    media_type: str
    content: bytes = field(repr=False)
    content_id: str | None = None  # of an image inside the HTML text


@dataclass(frozen=True, kw_only=True, slots=True)
class ReceivedMail:
    """A mail that passed the guards, in plain Unicode without control characters.

    ``sender`` is what the mail says, in lower case; ``person_id`` is the one active person with this address,
    unless the receiving server found the mail forged. ``text`` is what its author wrote, ``quoted`` the
    history and signature below. ``claimed``: a thread that it refers to, whose participant the sender is not.
    """

    id: UUID
    message_id: str
    sender: str
    sender_name: str
    recipients: tuple[str, ...]
    title: str
    text: str = field(repr=False)
    quoted: str = field(default="", repr=False)
    attachments: tuple[MailAttachment, ...] = ()
    person_id: UUID | None = None
    account_id: UUID | None = None
    claimed: Thread | None = None


class InboundMail(Protocol):
    """A desk that takes mail: answers to its own threads, and new mail to its addresses.

    The first desk without addresses is the one that gets what no other is addressed by.
    """

    name: str
    subject_type: str  # type of its threads
    addresses: Collection[str]  # in lower case, without a token

    async def participates(
        self, session: AsyncSession, thread: Thread, *, address: str, person_id: UUID | None
    ) -> bool:
        """Whether who writes from this address belongs to the thread.

        Addresses that the thread's mail went to or came from are known without asking.
        """
        ...

    async def handle(self, session: AsyncSession, mail: ReceivedMail, *, thread: Thread | None) -> Thread:
        """Add the mail to its thread, or open a new one; returns where it is now.

        Runs once a mail, in the transaction that marks it as processed.
        """
        ...

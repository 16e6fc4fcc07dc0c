"""Mail to the billing desk: an answer goes to its case, mail to the desk's own address opens one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.constants import (
    DESK,
    NUMBER_PREFIX,
    SUBJECT_TYPE,
    TITLE_MAX,
    CaseKind,
    CaseSource,
)
from app.billing.desk import Desk
from app.billing.models import Case
from app.billing.service.cases import opening, replies
from app.billing.service.cases.changes import subject_of
from app.conversations import mailing
from app.events import Subject
from app.identity.principal import Principal
from app.knowledge import ReceivedMail, Thread


@dataclass(kw_only=True, slots=True)
class BillingMail:
    """``knowledge.InboundMail``. ``addresses``: the desk's own; without one it only gets answers."""

    desk: Desk
    attachment_max_bytes: int
    addresses: Collection[str]
    name: str = DESK
    subject_type: str = SUBJECT_TYPE

    async def participates(
        self, session: AsyncSession, thread: Thread, *, address: str, person_id: UUID | None
    ) -> bool:
        """Whether they are in the case's conversation, or belong to the staff."""
        return await mailing.participates(session, thread, address=address, person_id=person_id)

    async def handle(self, session: AsyncSession, mail: ReceivedMail, *, thread: Thread | None) -> Thread:
        """Add the mail to its case, or open one; what it is about is for the staff to say."""
        author, message = await mailing.message_of(session, mail, maximum=self.attachment_max_bytes)
        case = None if thread is None else await session.get(Case, thread.id, populate_existing=True)
        if case is None:
            return await self._open(session, mail, author=author, message=message)
        written = await replies.write(session, self.desk, case.id, author=author, **message)
        return subject_of(written.case.id)

    async def _open(
        self, session: AsyncSession, mail: ReceivedMail, *, author: Principal, message: dict[str, Any]
    ) -> Subject:
        is_customer = message.get("on_behalf_of") is not None
        values = {
            "kind": CaseKind.invoice_question,
            "subject": mailing.title_of(mail.title, prefix=NUMBER_PREFIX, maximum=TITLE_MAX),
            "description": message["body"],
            "source": CaseSource.email,
            "requester_id": mail.person_id if is_customer or author.person_id else None,
            "account_id": mail.account_id,
        }
        case = await opening.open_case(session, self.desk, values, actor=author, message=message)
        return subject_of(case.id)

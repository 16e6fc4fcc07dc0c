"""What is said on a case."""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncSession

from app import conversations
from app.billing.desk import Desk
from app.billing.exceptions import (
    CaseClosedError,
    CaseNotFoundError,
    InvalidCaseTransitionError,
)
from app.billing.schemas.cases import BillingMessage, BillingMessageCreate
from app.billing.service.cases import changes, replies, showing
from app.conversations.exceptions import (
    EmptyMessageError,
    MessageNotFoundError,
    MessageRedactedError,
    MessageTooLargeError,
    TooManyAttachmentsError,
    UnknownAttachmentError,
    UnknownReplyError,
)
from app.conversations.schemas import MessageUpdate, MessageView
from app.exceptions import PermissionDeniedError
from app.identity.exceptions import PersonDeactivatedError
from app.identity.principal import Principal
from app.listing import Sort, Total
from app.openapi import documented
from app.pagination import Cursor, Limit, Page
from app.preconditions import Expected


class BillingMessageController(Controller):
    """Messages on cases."""

    path = "/cases/{case_id:uuid}/messages"
    tags = ["billing"]  # noqa: RUF012 - the framework reads the plain list

    @post(
        operation_id="create_billing_message",
        opt=documented(
            raises=[
                PermissionDeniedError,
                CaseNotFoundError,
                CaseClosedError,
                InvalidCaseTransitionError,
                EmptyMessageError,
                MessageTooLargeError,
                UnknownAttachmentError,
                TooManyAttachmentsError,
                UnknownReplyError,
                PersonDeactivatedError,
            ]
        ),
    )
    async def create_billing_message(
        self,
        case_id: FromPath[UUID],
        data: JSONBody[BillingMessageCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        billing: NamedDependency[Desk],
    ) -> BillingMessage:
        """Write on a case: a public reply, or for the staff also an internal note.

        A customer's reply opens what awaits them or was lately resolved. On a closed case a reply opens a
        follow-up, which is the `case` that comes back.
        """
        fields = structs.asdict(data)
        written = await replies.write(
            session, billing, case_id, author=principal, body_format=fields.pop("format"), **fields
        )
        return BillingMessage(
            message=await conversations.show_message(session, written.posted.message, principal=principal),
            case=showing.show(written.case, principal=principal),
        )

    @get(
        operation_id="list_billing_messages",
        opt=documented(raises=[CaseNotFoundError], listing=conversations.MESSAGES),
    )
    async def list_billing_messages(
        self,
        *,
        case_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        sort: Sort = None,
        total: Total = False,
        cursor: Cursor = None,
        limit: Limit = 20,
    ) -> Page[MessageView]:
        """What was said on a case, oldest first. Customers do not see notes."""
        case = await changes.get(session, case_id, principal=principal)
        conversation = await conversations.get(session, changes.subject_of(case.id), principal=principal)
        return await conversations.list_messages(
            session,
            conversation,
            principal=principal,
            limit=limit,
            sort=sort,
            cursor=cursor,
            total=total,
        )

    @patch(
        "/{message_id:uuid}",
        operation_id="update_billing_message",
        opt=documented(
            raises=[
                CaseNotFoundError,
                CaseClosedError,
                MessageNotFoundError,
                MessageRedactedError,
                MessageTooLargeError,
                EmptyMessageError,
            ]
        ),
    )
    async def update_billing_message(
        self,
        *,
        case_id: FromPath[UUID],
        message_id: FromPath[UUID],
        data: JSONBody[MessageUpdate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> MessageView:
        """Correct one's own message."""
        case = await changes.lock_open(session, case_id, principal=principal)
        conversation = await conversations.get(session, changes.subject_of(case.id), principal=principal)
        message = await conversations.edit(
            session, conversation, message_id, actor=principal, body=data.body, check=expected.check
        )
        return await conversations.show_message(session, message, principal=principal)

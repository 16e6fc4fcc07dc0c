"""What is said on a ticket."""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncSession

from app import conversations
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
from app.technical.desk import Desk
from app.technical.exceptions import (
    InvalidTransitionError,
    MissingFieldsError,
    TicketClosedError,
    TicketMergedError,
    TicketNotFoundError,
)
from app.technical.schemas.tickets import TicketMessage, TicketMessageCreate
from app.technical.service import changes, replies, showing


class TicketMessageController(Controller):
    """Messages on tickets."""

    path = "/tickets/{ticket_id:uuid}/messages"
    tags = ["technical"]  # noqa: RUF012 - the framework reads the plain list

    @post(
        operation_id="create_ticket_message",
        opt=documented(
            raises=[
                PermissionDeniedError,
                TicketNotFoundError,
                TicketMergedError,
                TicketClosedError,
                InvalidTransitionError,
                MissingFieldsError,
                EmptyMessageError,
                MessageTooLargeError,
                UnknownAttachmentError,
                TooManyAttachmentsError,
                UnknownReplyError,
                PersonDeactivatedError,
            ]
        ),
    )
    async def create_ticket_message(
        self,
        ticket_id: FromPath[UUID],
        data: JSONBody[TicketMessageCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        desk: NamedDependency[Desk],
    ) -> TicketMessage:
        """Write on a ticket: a public reply, or for the staff also an internal note.

        A customer's reply opens what is pending, on hold or lately solved. On a closed ticket a reply opens a
        follow-up, which is the `ticket` that comes back.
        """
        fields = structs.asdict(data)
        written = await replies.write(
            session, desk, ticket_id, author=principal, body_format=fields.pop("format"), **fields
        )
        return TicketMessage(
            message=await conversations.show_message(session, written.posted.message, principal=principal),
            ticket=await showing.show(session, written.ticket, principal=principal),
        )

    @get(
        operation_id="list_ticket_messages",
        opt=documented(raises=[TicketNotFoundError], listing=conversations.MESSAGES),
    )
    async def list_ticket_messages(
        self,
        *,
        ticket_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        sort: Sort = None,
        total: Total = False,
        cursor: Cursor = None,
        limit: Limit = 20,
    ) -> Page[MessageView]:
        """What was said on a ticket, oldest first. Customers do not see notes."""
        ticket = await changes.get(session, ticket_id, principal=principal)
        conversation = await conversations.get(session, changes.subject_of(ticket.id), principal=principal)
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
        operation_id="update_ticket_message",
        opt=documented(
            raises=[
                TicketNotFoundError,
                TicketMergedError,
                TicketClosedError,
                MessageNotFoundError,
                MessageRedactedError,
                MessageTooLargeError,
                EmptyMessageError,
            ]
        ),
    )
    async def update_ticket_message(
        self,
        *,
        ticket_id: FromPath[UUID],
        message_id: FromPath[UUID],
        data: JSONBody[MessageUpdate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> MessageView:
        """Correct one's own message."""
        ticket = await changes.lock_open(session, ticket_id, principal=principal)
        conversation = await conversations.get(session, changes.subject_of(ticket.id), principal=principal)
        message = await conversations.edit(
            session, conversation, message_id, actor=principal, body=data.body, check=expected.check
        )
        return await conversations.show_message(session, message, principal=principal)

"""Messages as the API shows them, a page at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from msgspec import convert
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.conversations.constants import BodyFormat, Channel, MessageKind, Speaker
from app.conversations.models import Attachment, Conversation, Message
from app.conversations.schemas import AttachmentView, Author, MessageView
from app.conversations.service import attachments
from app.conversations.service.access import messages_of
from app.identity.constants import Role
from app.identity.models import Person
from app.identity.principal import Principal
from app.listing import Listing
from app.pagination import Page

MESSAGES = Listing(
    Message,
    sorts={"created_at": Message.created_at, "number": Message.number},
    default="created_at",
)


async def list_messages(
    session: AsyncSession,
    conversation: Conversation,
    *,
    principal: Principal,
    limit: int,
    sort: str | None = None,
    cursor: str | None = None,
    total: bool = False,
) -> Page[MessageView]:
    """A page of what the caller may read, oldest first; ``-created_at`` for the newest.

    The conversation is one that the caller sees (``get``). ``InvalidError`` for another list's cursor.
    """
    statement = select(Message).where(Message.conversation_id == conversation.id, messages_of(principal))
    found = await MESSAGES.fetch(
        session,
        statement,
        limit=limit,
        sort=sort,
        cursor=cursor,
        filters={"conversation": conversation.id},
        total=total,
    )
    shown = {each.id: each for each in await show_messages(session, found.rows, principal=principal)}
    return found.page(lambda message: shown[message.id])


async def show_messages(
    session: AsyncSession, messages: Sequence[Message], *, principal: Principal
) -> list[MessageView]:
    """Messages with their authors' names and their attachments, in two queries."""
    files = await attachments.of_messages(session, [each.id for each in messages])
    names = await names_of(session, (each.author_person_id for each in messages))
    return [_view(each, files.get(each.id, ()), names, principal) for each in messages]


async def show_message(session: AsyncSession, message: Message, *, principal: Principal) -> MessageView:
    """One message, for the answer to its post or change."""
    return (await show_messages(session, [message], principal=principal))[0]


def show_attachment(attachment: Attachment) -> AttachmentView:
    """An attachment without its content."""
    return convert(attachment, AttachmentView, from_attributes=True)


async def names_of(session: AsyncSession, person_ids: Iterable[UUID | None]) -> dict[UUID, str]:
    """Names of people by id."""
    wanted: Collection[UUID] = {each for each in person_ids if each is not None}
    if not wanted:
        return {}
    found = await session.execute(select(Person.id, Person.name).where(Person.id.in_(wanted)))
    return {row.id: row.name for row in found}


def _view(
    message: Message, files: Sequence[Attachment], names: dict[UUID, str], principal: Principal
) -> MessageView:
    person_id, for_staff = message.author_person_id, principal.is_staff
    return MessageView(
        id=message.id,
        number=message.number,
        kind=MessageKind(message.kind),
        speaker=Speaker(message.speaker),
        channel=Channel(message.channel),
        automatic=message.automatic,
        author=Author(
            person_id=person_id,
            name=names.get(person_id) if person_id is not None else None,
            role=Role(message.author_role),
            key_id=message.author_key_id if for_staff else None,
            email=message.author_email if for_staff else None,
        ),
        format=BodyFormat(message.body_format),
        body=message.body_raw,
        html=message.body_html,
        in_reply_to=message.in_reply_to,
        attachments=[show_attachment(each) for each in files],
        version=message.version,
        created_at=message.created_at,
        edited_at=message.edited_at,
        redacted_at=message.redacted_at,
    )

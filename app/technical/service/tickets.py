"""Tickets: opened, changed, listed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from msgspec import UNSET
from sqlalchemy import func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app import conversations, sla
from app.conversations import Posted
from app.conversations.constants import BodyFormat, ParticipantRole
from app.conversations.models import Conversation
from app.exceptions import PermissionDeniedError
from app.identity.exceptions import UnknownAccountError
from app.identity.models import Account, Person
from app.identity.principal import Principal
from app.preconditions import ANYTHING, Expected
from app.redaction import redact
from app.technical.constants import DESK, RequiredOn, Source
from app.technical.desk import Desk
from app.technical.exceptions import UnknownRequesterError
from app.technical.models import Ticket
from app.technical.service import assigning, customs, indexing, signatures
from app.technical.service.changes import change, lock_open, record_created, subject_of

FOR_STAFF = ("priority", "tags", "requester_id", "account_id", "assignee_id", "team_id", "issue_id")
TEXTS = ("subject", "description", "environment", "product", "component", "product_version")
INDEXED = frozenset({"subject", "description", "account_id", "requester_id", "product", "component"})


@dataclass(frozen=True, slots=True)
class Opened:
    """A new ticket, and its first message, if it was opened with one."""

    ticket: Ticket
    posted: Posted | None


async def create(
    session: AsyncSession,
    desk: Desk,
    *,
    actor: Principal,
    description: str,
    format: BodyFormat = BodyFormat.markdown,  # noqa: A002 - the field's name in the API
    attachments: Sequence[UUID] = (),
    source: Source = Source.api,
    **given: Any,
) -> Ticket:
    """Open a ticket whose first message is its description.

    ``given``: the further members of a ``TicketCreate``. Errors: ``PermissionDeniedError`` when a customer
    sets what is the staff's, ``MissingFieldsError``, and those of ``open_ticket``.
    """
    values = await _owned(session, actor, {name: value for name, value in given.items() if value is not None})
    values["custom"] = await customs.checked(session, {}, values.get("custom") or {}, actor=actor)
    await customs.require(session, values["custom"], on=RequiredOn.create, actor=actor)
    requester_id = values.get("requester_id")
    message = {
        "body": description,
        "body_format": format,
        "attachments": attachments,
        "on_behalf_of": requester_id if requester_id != actor.person_id else None,
    }
    values |= {"description": description, "source": source}
    return (await open_ticket(session, desk, values, actor=actor, message=message)).ticket


async def open_ticket(
    session: AsyncSession,
    desk: Desk,
    values: Mapping[str, Any],
    *,
    actor: Principal,
    message: Mapping[str, Any] | None,
    at: datetime | None = None,
) -> Opened:
    """Insert a ticket with its conversation, clocks and likeness. ``values``: columns, checked by the caller.

    ``message``: the first one, as ``conversations.post`` takes it. ``at``: since when its clocks count, if
    that is not now. Errors: ``UnknownAssigneeError``, ``UnknownTeamError``, ``UnknownIssueError``,
    ``InvalidFieldError``, and those of a message.
    """
    columns = _cleaned(dict(values))
    columns["signatures"] = signatures.found(columns["subject"], columns["description"])
    columns = await assigning.placed(session, await _referred(session, columns))
    ticket = (await session.scalars(insert(Ticket).values(columns).returning(Ticket))).one()
    await record_created(session, ticket, actor=actor)
    conversation = await conversations.open_conversation(
        session,
        subject_of(ticket.id),
        actor=actor,
        account_id=ticket.account_id,
        requester_id=ticket.requester_id,
    )
    if ticket.assignee_id is not None:
        await assigning.follow(session, ticket, actor=actor)
    posted = None
    if message is not None:
        await _add_sender(session, conversation, ticket, message.get("sender_email"), actor=actor)
        posted = await conversations.post(session, conversation, author=actor, **message)
        ticket = await note_waiting(session, ticket, posted)
    at = at or datetime.now(UTC)
    await sla.apply(session, subject_of(ticket.id), attributes_of(ticket), at=at, actor=actor)
    await indexing.changed(session, desk, ticket)
    return Opened(ticket, posted)


async def update_ticket(
    session: AsyncSession,
    desk: Desk,
    ticket_id: UUID,
    *,
    actor: Principal,
    expected: Expected = ANYTHING,
    **given: Any,
) -> Ticket:
    """Change what is given. Customers change nothing here: they write, and close what is theirs.

    Errors: ``TicketNotFoundError``, ``TicketMergedError``, ``TicketClosedError``, ``VersionMismatchError``
    and those of ``create``.
    """
    await assigning.lock_teams(session, [given.get("team_id")])
    ticket = await lock_open(session, ticket_id, principal=actor)
    expected.check(ticket.version)
    return await apply(session, desk, ticket, given, actor=actor)


async def apply(
    session: AsyncSession, desk: Desk, ticket: Ticket, given: Mapping[str, Any], *, actor: Principal
) -> Ticket:
    """Change a locked ticket that still changes, with all that follows; members that are UNSET stay."""
    values = _cleaned({name: value for name, value in given.items() if value is not UNSET})
    if "custom" in values:
        values["custom"] = await customs.checked(session, ticket.custom, values["custom"], actor=actor)
    if {"subject", "description"} & set(values):
        texts = (values.get("subject", ticket.subject), values.get("description", ticket.description))
        values["signatures"] = signatures.found(*texts)
    values = await assigning.replaced(session, ticket, await _referred(session, values, ticket))
    before, old = attributes_of(ticket), ticket.version
    changed_fields = {name for name, value in values.items() if getattr(ticket, name) != value}
    ticket = await change(session, ticket, values, actor=actor)
    if ticket.version == old:
        return ticket
    if attributes_of(ticket) != before:
        at = datetime.now(UTC)
        await sla.apply(session, subject_of(ticket.id), attributes_of(ticket), at=at, actor=actor)
    if changed_fields & INDEXED:
        await indexing.changed(session, desk, ticket)
    if "assignee_id" in changed_fields:
        await assigning.follow(session, ticket, actor=actor)
    if changed_fields & {"account_id", "requester_id"}:
        await _change_owner(session, ticket, actor=actor)
    return ticket


def attributes_of(ticket: Ticket) -> sla.Attributes:
    """What the SLA policies' conditions look at."""
    return sla.Attributes(
        desk=DESK,
        priority=ticket.priority,
        severity=ticket.severity,
        account_id=ticket.account_id,
        tags=tuple(ticket.tags),
    )


async def note_waiting(session: AsyncSession, ticket: Ticket, posted: Posted) -> Ticket:
    """Keep on the ticket since when its customer waits; no change that its version counts."""
    statement = (
        update(Ticket)
        .where(Ticket.id == ticket.id)
        .values(waiting_since=posted.conversation.unanswered_since, updated_at=func.now())
        .returning(Ticket)
    )
    return (await session.scalars(statement, execution_options={"populate_existing": True})).one()


async def _owned(session: AsyncSession, actor: Principal, given: dict[str, Any]) -> dict[str, Any]:
    """Whose ticket it will be: a customer's own, or whose the staff say."""
    if actor.is_staff:
        return await _of_requester(session, given)
    if refused := sorted(name for name in FOR_STAFF if given.get(name)):
        raise PermissionDeniedError(f"Only staff set {', '.join(refused)}.", fields=refused)
    if actor.person_id is None:
        raise PermissionDeniedError(
            "A ticket needs a requester: use a key or token that stands for a person."
        )
    return given | {"requester_id": actor.person_id, "account_id": actor.account_id}


async def _of_requester(session: AsyncSession, values: dict[str, Any]) -> dict[str, Any]:
    requester_id, account_id = values.get("requester_id"), values.get("account_id")
    if account_id is not None and await session.get(Account, account_id) is None:
        raise UnknownAccountError("There is no such account.", account_id=account_id)
    if requester_id is None:
        return values
    person = await session.get(Person, requester_id)
    if person is None or person.erased_at is not None:
        raise UnknownRequesterError("There is no such requester.", requester_id=requester_id)
    if account_id is None:
        return values | {"account_id": person.account_id}
    if person.account_id is not None and person.account_id != account_id:
        raise UnknownRequesterError("The requester is of another account.", requester_id=requester_id)
    return values


async def _referred(
    session: AsyncSession, values: dict[str, Any], ticket: Ticket | None = None
) -> dict[str, Any]:
    """``values``, whose references exist."""
    await assigning.check_assignee(session, values.get("assignee_id"))
    await assigning.check_team(session, values.get("team_id"))
    await assigning.check_issue(session, values.get("issue_id"))
    if ticket is not None and {"requester_id", "account_id"} & set(values):
        held = {"requester_id": ticket.requester_id, "account_id": ticket.account_id}
        owner = held | {name: values[name] for name in held if name in values}
        if "account_id" not in values:
            owner["account_id"] = None  # a new requester brings their account
        values |= await _of_requester(session, owner)
    return values


def _cleaned(values: dict[str, Any]) -> dict[str, Any]:
    """Names without blanks around them; tags in lower case, each once, in order."""
    cleaned = dict(values)
    for name in ("subject", "product", "component", "product_version", "environment"):
        if cleaned.get(name):
            cleaned[name] = cleaned[name].strip()
    cleaned |= {name: redact(cleaned[name]) for name in TEXTS if cleaned.get(name)}
    if "tags" in cleaned:
        cleaned["tags"] = sorted({redact(each.strip().lower()) for each in cleaned["tags"]})
    return cleaned


async def _add_sender(
    session: AsyncSession,
    conversation: Conversation,
    ticket: Ticket,
    sender_email: str | None,
    *,
    actor: Principal,
) -> None:
    """Who wrote by mail and is no person here asks as an address."""
    if sender_email is not None and ticket.requester_id is None:
        await conversations.participants.add(
            session, conversation, actor=actor, role=ParticipantRole.requester, email=sender_email
        )


async def _change_owner(session: AsyncSession, ticket: Ticket, *, actor: Principal) -> None:
    """Let the conversation be its ticket's: of the same account, with the same requester."""
    conversation = await conversations.get(session, subject_of(ticket.id), principal=actor)
    conversation = await conversations.give(session, conversation, ticket.account_id, actor=actor)
    if ticket.requester_id is not None:
        await conversations.participants.add(
            session,
            conversation,
            actor=actor,
            role=ParticipantRole.requester,
            person_id=ticket.requester_id,
        )

"""Storing what was planned: new tickets in bulk, changed ones each by itself.

Of a new ticket there is one event, ``ticket.imported``, with its whole state: a webhook for new tickets is
not called for those of the past. Nothing is mailed. The clocks of tickets that are not finished start when
they are imported, so that nothing of the past is a breach here; finished ones get none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app import conversations, matching, sla
from app.conversations.constants import ParticipantRole
from app.conversations.service.importing import PastConversation, continue_past, open_past, times_of
from app.events.batches import NewEvent, record_all
from app.identity.principal import SYSTEM
from app.sla import ClockKind
from app.technical.constants import PAUSED, UNFINISHED, Source, Status
from app.technical.desk import Desk
from app.technical.models import Ticket
from app.technical.service import assigning, indexing, signatures, waiting
from app.technical.service.access import STAFF_FIELDS
from app.technical.service.changes import STATE, change, subject_of, text_hash
from app.technical.service.importing.comparing import IMPORTED
from app.technical.service.importing.planning import Action, Planned
from app.technical.service.tickets import attributes_of

HIDDEN = frozenset(STATE) & STAFF_FIELDS
INSERT = text("""
insert into ticket (id, subject, description, status, priority, severity, product, component,
    product_version, environment, tags, custom, signatures, source, requester_id, account_id, assignee_id,
    team_id, status_changed_at, first_solved_at, solved_at, closed_at, waiting_since, origin, external_id,
    created_at, updated_at)
select r.id, r.subject, r.description, r.status, r.priority, r.severity, r.product, r.component,
    r.product_version, r.environment, r.tags, r.custom, r.signatures, r.source, r.requester_id, r.account_id,
    r.assignee_id, r.team_id, r.status_changed_at, r.first_solved_at, r.solved_at, r.closed_at,
    r.waiting_since, r.origin, r.external_id, r.created_at, r.updated_at
from json_to_recordset(CAST(:rows AS json)) as r(
    place integer, id uuid, subject text, description text, status text, priority text, severity text,
    product text, component text, product_version text, environment text, tags text[], custom jsonb,
    signatures text[], source text, requester_id uuid, account_id uuid, assignee_id uuid, team_id uuid,
    status_changed_at timestamptz, first_solved_at timestamptz, solved_at timestamptz, closed_at timestamptz,
    waiting_since timestamptz, origin text, external_id text, created_at timestamptz, updated_at timestamptz)
order by r.place
returning id, number
""")
DEFAULTS = {"issue_id": None, "merged_into_id": None, "solved_by_id": None, "reopens": 0, "version": 1}


async def write(
    session: AsyncSession, desk: Desk, planned: Sequence[Planned], *, origin: str, at: datetime
) -> int:
    """Store a batch, in which no ticket comes twice; how many messages were new. ``at``: of the import."""
    made = await _create(session, [each for each in planned if each.action is Action.create], origin, at)
    for each in planned:
        if each.action is Action.update:
            made += await _update(session, desk, each, at)
    return made


async def _create(session: AsyncSession, planned: Sequence[Planned], origin: str, at: datetime) -> int:
    if not planned:
        return 0
    tickets = await asyncio.to_thread(_tickets, planned, origin)
    rows = [
        {name: getattr(ticket, name) for name in ROW} | {"place": place}
        for place, ticket in enumerate(tickets)
    ]
    inserted = await session.execute(INSERT, {"rows": msgspec.json.encode(rows).decode()})
    numbers: dict[UUID, int] = {row.id: row.number for row in inserted}
    for ticket in tickets:
        ticket.number = numbers[ticket.id]
    messages = await open_past(session, [_past(each) for each in planned])
    await record_all(session, [_event(ticket) for ticket in tickets], actor=SYSTEM)
    for each, ticket in zip(planned, tickets, strict=True):
        if ticket.status in UNFINISHED:
            has_reply = times_of(each.messages).first_reply_at is not None
            await _start_clocks(session, ticket, has_reply=has_reply, at=at)
    await matching.index_many(session, map(indexing.entry, sorted(tickets, key=lambda each: each.id)))
    return messages


ROW = (
    *("id", "subject", "description", "status", "priority", "severity", "product", "component"),
    *("product_version", "environment", "tags", "custom", "signatures", "source", "requester_id"),
    *("account_id", "assignee_id", "team_id", "status_changed_at", "first_solved_at", "solved_at"),
    *("closed_at", "waiting_since", "origin", "external_id", "created_at", "updated_at"),
)


def _tickets(planned: Sequence[Planned], origin: str) -> list[Ticket]:
    """Rows as they will be, but for their numbers."""
    return [
        Ticket(
            **DEFAULTS,
            **dict.fromkeys(("requester_id", "account_id", "assignee_id", "team_id")) | each.values,
            id=each.ticket_id,
            signatures=signatures.found(each.values["subject"], each.values["description"]),
            source=Source.imported,
            waiting_since=(
                times_of(each.messages).unanswered_since if each.values["status"] in UNFINISHED else None
            ),
            origin=origin,
            external_id=each.incoming.external_id,
            created_at=each.incoming.created_at,
        )
        for each in planned
    ]


def _past(planned: Planned) -> PastConversation:
    return PastConversation(
        subject=subject_of(planned.ticket_id),
        created_at=planned.incoming.created_at,
        account_id=planned.values.get("account_id"),
        requester_id=planned.values.get("requester_id"),
        requester_email=planned.requester_email,
        assignee_id=planned.values.get("assignee_id"),
        messages=planned.messages,
    )


def _event(ticket: Ticket) -> NewEvent:
    after = {name: getattr(ticket, name) for name in STATE}
    return NewEvent(
        type=IMPORTED,
        subject=subject_of(ticket.id),
        after=after | {"description": text_hash(ticket.description)},
        account_id=ticket.account_id,
        person_id=ticket.requester_id,
        customer_visible=True,
        staff_fields=HIDDEN,
    )


async def _start_clocks(session: AsyncSession, ticket: Ticket, *, has_reply: bool, at: datetime) -> None:
    """Of an unfinished ticket, as of now; the first response is not waited for where it has been given."""
    subject = subject_of(ticket.id)
    kinds = {ClockKind.resolution} | (set() if has_reply else {ClockKind.first_response})
    await sla.apply(session, subject, attributes_of(ticket), at=at, kinds=kinds)
    if has_reply and ticket.waiting_since is not None:
        await sla.start_next_reply(session, subject, at=at)
    if ticket.status in PAUSED:
        await sla.pause(session, subject, at=at)


async def _update(session: AsyncSession, desk: Desk, planned: Planned, at: datetime) -> int:
    """Change a locked ticket that is here, and add the messages that are new; how many."""
    ticket = planned.ticket
    assert ticket is not None  # what is updated is here
    before, values = Status(ticket.status), dict(planned.values)
    if {"subject", "description"} & set(values):
        texts = (values.get("subject", ticket.subject), values.get("description", ticket.description))
        values["signatures"] = signatures.found(*texts)
    ticket = await change(session, ticket, values, actor=SYSTEM, type=IMPORTED)
    await _follow_people(session, ticket, values)
    conversation, added = await continue_past(session, subject_of(ticket.id), planned.messages)
    if added:
        ticket = await waiting.note(session, ticket, conversation)
    await _move_clocks(session, ticket, before, has_reply=conversation.first_reply_at is not None, at=at)
    if before is Status.solved and ticket.status in UNFINISHED:
        await indexing.reopened(session, desk, ticket, actor=SYSTEM)
    if values:
        await matching.index_many(session, [indexing.entry(ticket)])
    return added


async def _follow_people(session: AsyncSession, ticket: Ticket, changed: Mapping[str, Any]) -> None:
    """The conversation is between those whom the ticket is between."""
    if changed.get("requester_id") is not None:
        conversation = await conversations.get(session, subject_of(ticket.id), principal=SYSTEM)
        await conversations.participants.add(
            session,
            conversation,
            actor=SYSTEM,
            role=ParticipantRole.requester,
            person_id=ticket.requester_id,
        )
    if "assignee_id" in changed:
        await assigning.follow(session, ticket, actor=SYSTEM)


async def _move_clocks(
    session: AsyncSession, ticket: Ticket, before: Status, *, has_reply: bool, at: datetime
) -> None:
    subject, status = subject_of(ticket.id), Status(ticket.status)
    if status not in UNFINISHED:
        if before in UNFINISHED:
            await sla.cancel(session, subject, at=at)
        return
    if before not in UNFINISHED:
        await _start_clocks(session, ticket, has_reply=has_reply, at=at)
        return
    if has_reply:
        await sla.cancel(session, subject, at=at, kinds={ClockKind.first_response})
    if ticket.waiting_since is None:
        await sla.cancel(session, subject, at=at, kinds={ClockKind.next_reply})
    elif has_reply:
        await sla.start_next_reply(session, subject, at=at)
    await sla.apply(session, subject, attributes_of(ticket), at=at, kinds=())
    if (status in PAUSED) != (before in PAUSED):
        await (sla.pause if status in PAUSED else sla.resume)(session, subject, at=at)

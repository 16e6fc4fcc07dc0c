"""Tickets as CSV that our own import reads: each once, some hundred at a time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any

import msgspec
from msgspec import structs
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import Database
from app.identity.models import Account, Person
from app.identity.principal import Principal
from app.spreadsheets import BOM, lines
from app.technical.models import Team, Ticket
from app.technical.service.listing import TICKETS, TicketFilter, wanted
from app.technical.utils.numbers import TICKETS as NUMBERS

BATCH = 500
PLAIN = (
    *("subject", "description", "status", "priority", "severity", "product", "component"),
    *("product_version", "environment"),
)
TIMES = ("created_at", "updated_at", "solved_at", "closed_at")
# The import takes ``id`` as the id in the other system, before ``external_id``, which two systems can share.
COLUMNS = (
    *("id", "number", *PLAIN, "description_format", "tags"),
    *("requester_id", "requester_external_id", "requester_email", "requester_name"),
    *("assignee_id", "assignee_email", "account_id", "account_external_id", "account", "team"),
    *(*TIMES, "first_solved_at", "reopens", "source", "origin", "external_id", "custom"),
)
FIRST = "number"  # the order: nothing that a ticket's changes move


async def as_csv(
    database: Database, asked: TicketFilter, *, principal: Principal, spreadsheet: bool
) -> AsyncGenerator[bytes, None]:
    """The tickets that the filter wants, oldest first; first the titles, with the first batch.

    A connection is held while a batch is read, never while a client reads. ``spreadsheet``: with a byte order
    mark, and cells that would run as formulas behind an apostrophe. Errors of the first batch come before
    anything is yielded.
    """
    head, cursor = (BOM if spreadsheet else b"") + lines([COLUMNS]), None
    while True:
        async with database.session() as session:
            found = await TICKETS.fetch(
                session,
                wanted(principal, asked),
                limit=BATCH,
                sort=FIRST,
                cursor=cursor,
                filters=structs.asdict(asked),
            )
            rows = await _rows(session, found.rows)
        yield head + lines(rows, spreadsheet=spreadsheet)
        head, cursor = b"", found.next_cursor
        if cursor is None:
            return


async def _rows(session: AsyncSession, tickets: Sequence[Ticket]) -> list[list[Any]]:
    accounts = await _by_id(session, Account, {each.account_id for each in tickets})
    teams = await _by_id(session, Team, {each.team_id for each in tickets})
    ids = {each.requester_id for each in tickets} | {each.assignee_id for each in tickets}
    people = await _by_id(session, Person, ids)
    return [
        _row(
            each,
            requester=people.get(each.requester_id),
            assignee=people.get(each.assignee_id),
            account=accounts.get(each.account_id),
            team=teams.get(each.team_id),
        )
        for each in tickets
    ]


async def _by_id(session: AsyncSession, model: Any, ids: set[Any]) -> dict[Any, Any]:
    found = await session.scalars(select(model).where(model.id.in_(ids - {None})))
    return {each.id: each for each in found}


def _row(
    ticket: Ticket,
    *,
    requester: Person | None,
    assignee: Person | None,
    account: Account | None,
    team: Team | None,
) -> list[Any]:
    values: dict[str, Any] = {name: getattr(ticket, name) for name in PLAIN}
    values |= {name: _time(getattr(ticket, name)) for name in (*TIMES, "first_solved_at")}
    values |= {name: getattr(ticket, name) for name in ("reopens", "source", "origin", "external_id")}
    values |= {
        "id": str(ticket.id),
        "number": NUMBERS.shown(ticket.number),
        "description_format": "markdown",
        "tags": _tags(ticket.tags),
        "custom": msgspec.json.encode(ticket.custom).decode() if ticket.custom else None,
        "requester_id": ticket.requester_id,
        "assignee_id": ticket.assignee_id,
        "account_id": ticket.account_id,
        "team": team.name if team else None,
    }
    if requester is not None:
        values["requester_external_id"] = requester.external_id
        values |= {"requester_email": requester.email, "requester_name": requester.name}
    if assignee is not None:
        values["assignee_email"] = assignee.email
    if account is not None:
        values |= {"account_external_id": account.external_id, "account": account.name}
    return [values.get(name) for name in COLUMNS]


def _tags(tags: Sequence[str]) -> str:
    """With a separator even behind a single one, whose blanks would otherwise part it."""
    return "; ".join(tags) + ";" * (len(tags) == 1)


def _time(moment: Any) -> str | None:
    return None if moment is None else moment.isoformat()

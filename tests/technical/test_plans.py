"""The desk's hottest statements read no whole table, at some ten thousand tickets.

The statements are those that the services send; their plans are asked for as they would run.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncSession

from app import conversations, matching
from app.config import Settings
from app.database import Database, create_engine
from app.embedded import EmbeddedPostgres
from app.identity.constants import PrincipalKind, Role
from app.identity.principal import SYSTEM, Principal
from app.main import technical_desk
from app.setup import bring_up_to_date
from app.technical.desk import Desk
from app.technical.service import (
    assigning,
    changes,
    closing,
    indexing,
    listing,
    showing,
    timeline,
)
from app.technical.service.changes import subject_of

TICKETS = 20_000
BIG = {"ticket", "message", "conversation", "participant", "event", "matchable", "sla_clock"}
FILL = """
insert into account (external_id, name)
select 'plans-' || n, 'Plans ' || n from generate_series(1, 400) n;

insert into person (external_id, name, email, role, account_id)
select 'plans-' || n, 'Plans ' || n, 'plans' || n || '@example.com',
    case when n <= 20 then 'agent' else 'customer' end,
    case when n > 20 then (select id from account where external_id = 'plans-' || (n % 400 + 1)) end
from generate_series(1, 4000) n;

insert into team (name) select 'plans-' || n from generate_series(1, 6) n;
insert into team_member (team_id, person_id)
select t.id, p.id from generate_series(1, 20) n
join team t on t.name = 'plans-' || (n % 6 + 1) join person p on p.external_id = 'plans-' || n;

insert into ticket (subject, description, status, product, tags, signatures, source, requester_id, account_id,
    assignee_id, team_id, status_changed_at, solved_at, closed_at, waiting_since, origin, external_id,
    created_at, updated_at)
select format('plans w%s w%s', n % 5000, n % 97), format('It fails with w%s', n % 1999),
    s.status, 'Product ' || n % 8, array['tag' || n % 200],
    case when n % 8 = 0 then array['code:E' || n % 900] else '{}' end, 'import', p.id, p.account_id,
    a.id, t.id, s.at, case when s.status in ('solved', 'closed') then s.at end,
    case when s.status = 'closed' then s.at end, case when n % 40 = 0 then s.at end,
    'plans', n::text, s.at, s.at
from generate_series(1, :tickets) n
cross join lateral (
    select case when n % 50 = 0 then 'open' when n % 53 = 0 then 'pending' when n % 59 = 0 then 'solved'
        else 'closed' end as status, now() - n * interval '40 minutes' as at
) s
join person p on p.external_id = 'plans-' || (n % 3900 + 50)
join person a on a.external_id = 'plans-' || (n % 20 + 1)
join team t on t.name = 'plans-' || (n % 6 + 1);

insert into conversation (subject_type, subject_id, account_id, requester_id, created_at)
select 'ticket', id, account_id, requester_id, created_at from ticket where origin = 'plans';

insert into participant (conversation_id, role, person_id)
select c.id, 'requester', c.requester_id from conversation c
join ticket t on t.id = c.subject_id where t.origin = 'plans';
insert into participant (conversation_id, role, person_id)
select c.id, 'watcher', p.id from conversation c join ticket t on t.id = c.subject_id
join person p on p.external_id = 'plans-' || (CAST(t.external_id AS int) % 997 + 100)
where t.origin = 'plans' and CAST(t.external_id AS int) % 10 = 0;

insert into message (conversation_id, number, kind, speaker, channel, author_person_id, author_role,
    body_format, body_raw, body_html, body_text, created_at)
select c.id, n, 'public', 'customer', 'api', c.requester_id, 'customer', 'text', '', '',
    format('v%s u%s', (CAST(t.external_id AS int) * 7 + n) % 4000, CAST(t.external_id AS int) % 89),
    c.created_at
from conversation c join ticket t on t.id = c.subject_id cross join generate_series(1, 2) n
where t.origin = 'plans';

insert into event (type, subject_type, subject_id, actor_kind, actor_role, account_id, person_id,
    customer_visible, after)
select 'ticket.imported', 'ticket', id, 'system', 'admin', account_id, requester_id, true, '{"version": 1}'
from ticket where origin = 'plans';

insert into matchable
    (id, subject_type, title, body, audience, tsv, length, text_hash, created_at, signatures)
select id, 'ticket', subject, description, array['staff'], to_tsvector('simple', subject), 3, id::text,
    created_at, signatures
from ticket where origin = 'plans'
"""
ANALYZE = "vacuum analyze ticket, message, conversation, participant, event, matchable, person, team_member"


@dataclass(frozen=True)
class Crowd:
    """Many tickets, and some of those who look at them."""

    database: Database
    desk: Desk
    ticket_id: UUID
    team_id: UUID
    agent: Principal
    customer: Principal
    colleague: Principal  # sees what their account has


@pytest.fixture(scope="module")
async def crowd(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Crowd]:
    """On a server of its own: what is written here would be in the way of tests that count."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("plans"), sample_company=False)
    database = Database(settings, embedded=EmbeddedPostgres(settings.data_dir, durable=False))
    await database.start()
    await bring_up_to_date(settings, database)
    owner = create_engine(database.dsn("owner"))
    async with owner.begin() as connection:
        for statement in FILL.split(";\n"):
            values = {"tickets": TICKETS} if ":tickets" in statement else {}
            await connection.execute(text(statement), values)
    async with owner.connect() as connection:
        resting = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await resting.execute(text(ANALYZE))
    await owner.dispose()
    async with database.session() as session:
        await matching.fold_statistics(session, least=0)
    yield await _crowd(settings, database)
    await database.stop()


async def _crowd(settings: Settings, database: Database) -> Crowd:
    async with database.session() as session:
        ticket = (
            await session.execute(
                text(
                    "select id, team_id, requester_id, account_id, assignee_id from ticket"
                    " where origin = 'plans' and external_id = '5000'"
                )
            )
        ).one()
    agent = _principal(Role.agent, ticket.assignee_id)
    customer = _principal(Role.customer, ticket.requester_id, ticket.account_id)
    colleague = _principal(Role.customer, ticket.requester_id, ticket.account_id, sees_account=True)
    desk = technical_desk(settings)
    return Crowd(database, desk, ticket.id, ticket.team_id, agent, customer, colleague)


def _principal(
    role: Role, person_id: UUID, account_id: UUID | None = None, *, sees_account: bool = False
) -> Principal:
    return Principal(
        kind=PrincipalKind.api_key,
        role=role,
        person_id=person_id,
        account_id=account_id,
        name="plans",
        sees_account=sees_account,
    )


@contextmanager
def noted(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """The statements that are sent meanwhile about big tables, with their parameters."""
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if any(name in statement for name in BIG):
            sent.append((statement, parameters))

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for each in plan.get("Plans", ()):
        yield from nodes(each)


async def plans(database: Database, sent: list[tuple[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    async with database.session() as session:
        connection = await session.connection()
        for statement, parameters in sent:
            rows = await connection.exec_driver_sql(f"explain (format json) {statement}", parameters)
            plan = rows.scalar_one()
            found.extend(nodes((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]))
    return found


def whole_tables(found: list[dict[str, Any]]) -> list[str]:
    """Big tables that are read from beginning to end."""
    return [
        each["Relation Name"]
        for each in found
        if each["Node Type"] == "Seq Scan" and each["Relation Name"] in BIG
    ]


def walks(found: list[dict[str, Any]]) -> list[str]:
    """Indexes that are read from one end on, until enough rows were found that fit: all, if there are few."""
    return [
        each["Index Name"]
        for each in found
        if each["Node Type"] in ("Index Scan", "Index Only Scan")
        and "Index Cond" not in each
        and each["Relation Name"] in BIG
    ]


Ask = Callable[[AsyncSession, Crowd], Awaitable[Any]]


def listed(who: str = "agent", *, sort: str | None = None, total: bool = False, **asked: Any) -> Ask:
    async def ask(session: AsyncSession, crowd: Crowd) -> Any:
        values = {name: value(crowd) if callable(value) else value for name, value in asked.items()}
        return await showing.page(
            session,
            listing.TicketFilter(**values),
            principal=getattr(crowd, who),
            sort=sort,
            total=total,
            limit=20,
            cursor=None,
        )

    return ask


async def said(session: AsyncSession, crowd: Crowd) -> Any:
    subject = subject_of(crowd.ticket_id)
    conversation = await conversations.get(session, subject, principal=crowd.customer)
    return await conversations.list_messages(
        session, conversation, principal=crowd.customer, limit=20, cursor=None
    )


async def told(session: AsyncSession, crowd: Crowd) -> Any:
    return await timeline.page(
        session, crowd.ticket_id, principal=crowd.agent, newest_first=True, limit=20, cursor=None
    )


async def loads(session: AsyncSession, crowd: Crowd) -> Any:
    return await assigning.candidates_of(session, crowd.team_id)


async def one(session: AsyncSession, crowd: Crowd) -> Any:
    return await changes.get(session, crowd.ticket_id, principal=crowd.customer)


HOT: dict[str, Ask] = {
    "list": listed(),
    "list by status": listed(status=["open"]),
    "list by team and status": listed(status=["open", "pending"], team_id=lambda crowd: [crowd.team_id]),
    "list by assignee": listed(assignee_id=lambda crowd: [crowd.agent.person_id]),
    "list by tag": listed(tag=["tag7"]),
    "list by requester": listed(requester_id=lambda crowd: [crowd.customer.person_id]),
    "list by account": listed(account_id=lambda crowd: [crowd.customer.account_id]),
    "list by signature": listed(signature=["code:E16"]),
    "a customer's list": listed("customer"),
    "an account's list": listed("colleague"),
    "a customer's search": listed("customer", q="w17"),
    "longest waiting": listed(waiting=True, sort="waiting_since"),
    "recently changed": listed(sort="-updated_at"),
    "search": listed(q="w17"),
    "search in messages": listed(q="v170"),
    "search, counted": listed(q="w17 w5", total=True),
    "number": listed(number=["TEC-17"]),
    "number as search": listed(q="TEC-17"),
    "get": one,
    "messages": said,
    "timeline": told,
    "loads of a team": loads,
}


# What is wanted of these is what stands first in the index, or so much that it is soon found there.
IN_ORDER = {
    "list",
    "list by assignee",
    "recently changed",
    "longest waiting",
    "list by tag",
    "list by status",
}


@pytest.mark.parametrize("name", HOT)
async def test_a_hot_statement_reads_no_whole_table(crowd: Crowd, name: str) -> None:
    with noted(crowd.database) as sent:
        async with crowd.database.session() as session:
            await HOT[name](session, crowd)
    found = await plans(crowd.database, sent)
    assert sent
    assert whole_tables(found) == []
    if name not in IN_ORDER:
        assert walks(found) == []


async def test_closing_looks_at_what_is_solved_only(crowd: Crowd) -> None:
    long_ago = datetime(2000, 1, 1, tzinfo=UTC)
    with noted(crowd.database) as sent:
        assert await closing.close_due(crowd.database, crowd.desk, now=long_ago) == 0
    found = await plans(crowd.database, sent)
    assert "ix_ticket_solved" in {each.get("Index Name") for each in found}


async def test_likeness_reads_no_whole_table(crowd: Crowd) -> None:
    async with crowd.database.session() as session:
        ticket = await changes.get(session, crowd.ticket_id, principal=SYSTEM)
        await matching.index_many(session, [indexing.entry(ticket)])  # its words as the room counts them
    with noted(crowd.database) as sent:
        async with crowd.database.session() as session:
            await crowd.desk.matcher.similar(
                session, subject=subject_of(ticket.id), types=["ticket"], audiences=indexing.AUDIENCE
            )
    found = await plans(crowd.database, sent)
    assert whole_tables(found) == []

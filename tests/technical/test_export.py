"""Tickets as CSV: every wanted one once, nothing that a spreadsheet runs, all of it read by the import."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from app.main import create_app
from app.spreadsheets import FORMULAS, lines
from app.technical.importing.mapping import Reading, to_ticket
from app.technical.importing.records import lay_out, read_records
from app.technical.service import exporting
from app.technical.service.listing import TicketFilter
from tests.live import serve
from tests.technical.test_tickets import PATH

EXPORT = f"{PATH}/export"
ONE_LINE = ("subject", "environment")  # of which the import keeps one blank between words
TEXTS = (
    '=HYPERLINK("http://example.com","x")',
    "+1",
    "-1",
    "@SUM(A1)",
    "commas, and; semicolons",
    'say "x"\n\nand "y',
    "'quoted'",
    "naïve 🎉 漢字",
)


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 700):
        yield content[start : start + 700]


async def test_what_is_exported_is_what_the_import_reads(caller, open_ticket, unique):
    customer, agent, lead = await caller(), await caller("agent"), await caller("lead")
    team = (await lead.client.post("/v1/technical/teams", json={"name": f"=Team, {unique}"})).json()
    made = [
        await open_ticket(
            agent,
            subject=each.replace("\n", " "),
            description=each,
            product=f"Product, {unique}",
            environment=each,
            tags=[f"two words {unique}"],
            severity="major",
            requester_id=str(customer.person_id),
            assignee_id=str(agent.person_id),
            team_id=team["id"],
        )
        for each in TEXTS
    ]
    asked = {"tag": f"two words {unique}", "spreadsheet": "false"}
    response = await agent.client.get(EXPORT, params=asked)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/csv")
    assert "attachment" in response.headers["content-disposition"]
    layout = await lay_out(pieces(response.content), None)
    reading = Reading()
    records = [
        each
        async for each in read_records(
            pieces(response.content[layout.start :]), layout, offset=layout.start, line=layout.line
        )
    ]
    read = [to_ticket(each.fields, reading, line=each.line, now=datetime.now(UTC)) for each in records]
    assert not reading.unknown
    assert [each.external_id for each in read] == [each["id"] for each in made]
    for ticket, there in zip(made, read, strict=True):
        same = ("subject", "description", "status", "priority", "severity", "product", "environment", "tags")
        assert {name: there.values[name] for name in same} == {
            name: " ".join(ticket[name].split()) if name in ONE_LINE else ticket[name] for name in same
        }
        assert there.created_at == datetime.fromisoformat(ticket["created_at"])
        assert there.requester.name == "A customer"
        assert there.requester.email == f"{there.requester.external_id}@example.com"
        assert there.assignee.email is not None
        assert there.account.id == str(customer.account_id)
        assert there.team == f"=Team, {unique}"


async def test_a_spreadsheet_gets_a_byte_order_mark_and_no_formula(caller, open_ticket):
    customer, agent = await caller(), await caller("agent")
    for each in TEXTS:
        await open_ticket(customer, subject=each.replace("\n", " "), description=each)
    asked = {"account_id": str(customer.account_id)}
    response = await agent.client.get(EXPORT, params=asked)
    assert response.content.startswith(b"\xef\xbb\xbf")
    rows = rows_of(response.content)
    assert [each["description"].removeprefix("'") for each in rows] == [
        each.removeprefix("'") for each in TEXTS
    ]
    assert [each["description"] for each in rows][:4] == [f"'{each}" for each in TEXTS[:4]]
    assert not [cell for row in rows for cell in row.values() if cell.startswith(FORMULAS)]


async def test_the_filters_are_those_of_the_list(caller, open_ticket, unique):
    customer, agent = await caller(), await caller("agent")
    one = await open_ticket(customer, subject=f"First {unique}", severity="minor")
    two = await open_ticket(customer, subject=f"Second {unique}", severity="major")
    for asked, wanted in (
        ({"q": unique}, [one, two]),
        ({"q": unique, "severity": "major"}, [two]),
        ({"number": one["number"]}, [one]),
        ({"q": unique, "status": "closed"}, []),
    ):
        response = await agent.client.get(EXPORT, params=asked)
        assert [each["number"] for each in rows_of(response.content)] == [each["number"] for each in wanted]
    titles = (await agent.client.get(EXPORT, params={"q": "nothinglikethat"})).content.decode("utf-8-sig")
    assert titles.strip().split(",") == list(exporting.COLUMNS)
    for wrong in ({"custom": "nosuch:1"}, {"created_after": "2026-01-01T00:00:00"}, {"sort": "number"}):
        assert (await agent.client.get(EXPORT, params=wrong)).status_code == 400


async def test_batches_hold_no_connection_and_give_every_ticket_once_while_others_change(
    database, caller, open_ticket, monkeypatch
):
    monkeypatch.setattr(exporting, "BATCH", 4)
    customer, agent = await caller(), await caller("agent")
    made = await asyncio.gather(*(open_ticket(customer) for _ in range(10)))
    asked = TicketFilter(account_id=[UUID(str(customer.account_id))])
    idle = database.engine.pool.checkedout()
    parts, seen, batches = (
        exporting.as_csv(database, asked, principal=agent.principal, spreadsheet=False),
        b"",
        0,
    )
    async for part in parts:
        assert database.engine.pool.checkedout() == idle
        assert part.count(b"\r\n") <= 5
        seen, batches = seen + part, batches + 1
        assert batches <= 3
        touched = "update ticket set updated_at = now(), priority = 'high' where account_id = :id"
        async with database.session() as session:
            await session.execute(text(touched), {"id": customer.account_id})
    assert batches == 3
    numbers = [each["number"] for each in rows_of(seen)]
    assert numbers == sorted((each["number"] for each in made), key=lambda each: int(each[4:]))


@pytest.mark.parametrize("whole", [0, 1])
async def test_what_breaks_is_an_error_at_first_and_later_a_transfer_without_an_end(
    *, settings, database, caller, open_ticket, monkeypatch, whole
):
    customer, agent = await caller(), await caller("agent")
    for _ in range(3):
        await open_ticket(customer)
    rows, calls = exporting._rows, 0

    async def broken(*given: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > whole:
            raise RuntimeError("broken on purpose")
        return await rows(*given)

    monkeypatch.setattr(exporting, "BATCH", 2)
    monkeypatch.setattr(exporting, "_rows", broken)
    with serve(create_app(replace(settings, database_url=database.dsn()))) as url:
        headers = {"Authorization": agent.client.headers["Authorization"]}
        async with httpx.AsyncClient(base_url=url, headers=headers) as client:
            asked = client.get(EXPORT, params={"account_id": str(customer.account_id)})
            if whole:
                with pytest.raises(httpx.RemoteProtocolError):
                    await asked
            else:
                assert (await asked).status_code == 500


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))))
def test_a_row_comes_back_as_it_was_and_as_a_spreadsheet_gets_it_runs_nothing(cells):
    def back(content: bytes) -> list[str]:
        return next(csv.reader(io.StringIO(content.decode(), newline="")), [])

    assert back(lines([cells], spreadsheet=False)) == cells
    safe = back(lines([cells]))
    assert not [each for each in safe if each.startswith(FORMULAS)]
    assert [one in (each, f"'{each}") for one, each in zip(safe, cells, strict=True)] == [True] * len(cells)

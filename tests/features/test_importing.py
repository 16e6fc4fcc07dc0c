"""Requests from CSV and back: each row for itself, once; whatever the file is."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from app.exceptions import InvalidError
from app.features.utils.csv_requests import read

REQUESTS = "/v1/features/requests"
NOW = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
async def lead(caller):
    return await caller("lead")


async def take(lead, board_id, content, status=200, **given):
    content = content if isinstance(content, bytes) else content.encode()
    response = await lead.client.post(
        f"{REQUESTS}/import",
        data={"board_id": board_id} | given,
        files={"file": ("requests.csv", content, "text/csv")},
    )
    assert response.status_code == status, response.text
    return response.json()


async def listed(lead, board_id):
    query = {"board_id": board_id, "sort": "number", "limit": 100}
    return (await lead.client.get(REQUESTS, params=query)).json()["items"]


async def addressed(caller, database):
    """A customer with an address of their own."""
    made, address = await caller(), f"{uuid4()}@crowd.example"
    async with database.session() as session:
        values = {"id": made.person_id, "to": address}
        await session.execute(text("update person set email = :to where id = :id"), values)
    return made, address


async def test_a_file_becomes_requests_with_their_voters_once(caller, lead, board, database):
    on, (author, wrote), (voter, votes) = await board(), *[await addressed(caller, database) for _ in "ab"]
    content = (
        "Title;Body;Status;Tags;Author_email;Voter_emails;Created_at;Planned_for\r\n"
        'Dark mode;"At night;\r\nplease";Under review;UI, night;'
        f"{wrote.upper()};{votes} {wrote} no@one.example;2025-03-01T10:00:00Z;2027-01-31\r\n"
        "=cmd();4111 1111 1111 1111;shipped;;;;;\r\n"
        ";no title;;;;;;\r\n"
        "Bad status;;later;;;;;\r\n"
    )
    tried = await take(lead, on["id"], content, dry_run="true")
    assert (tried["created"], tried["refused"], await listed(lead, on["id"])) == (2, 2, [])
    done = await take(lead, on["id"], content)
    assert [each["outcome"] for each in done["rows"]] == ["created", "created", "refused", "refused"]
    assert [each["line"] for each in done["rows"]] == [2, 4, 5, 6]
    assert [each["problem"] for each in done["rows"]][2:] == [
        "title: not one that can be taken",
        "status: not one that can be taken",
    ]
    assert done["rows"][0]["unknown_people"] == ["no@one.example"]
    first, second = await listed(lead, on["id"])
    assert (first["title"], first["body"], first["status"]) == (
        "Dark mode",
        "At night;\nplease",
        "under_review",
    )
    assert (first["votes"], first["tags"], first["planned_for"]) == (2, ["night", "ui"], "2027-01-31")
    assert (first["created_at"], first["author_id"]) == ("2025-03-01T10:00:00Z", str(author.person_id))
    assert (second["title"], second["status"], "1111 1111" in second["body"]) == ("=cmd()", "shipped", False)
    voted = await voter.client.get(f"{REQUESTS}/{first['id']}")
    assert voted.json()["voted"] is True
    again = await take(lead, on["id"], content)
    assert (again["created"], again["unchanged"], again["refused"]) == (0, 2, 2)
    assert len(await listed(lead, on["id"])) == 2


async def test_an_export_is_imported_as_it_was(caller, lead, board, database):
    on, other = await board(), await board()
    _, address = await addressed(caller, database)
    await take(lead, on["id"], f'title,body,voter_emails,tags\n"-1 ""quoted""","a\nb",{address},"x,y"\n')
    export = await lead.client.get(f"{REQUESTS}/export", params={"board_id": on["id"], "spreadsheet": False})
    assert export.headers["content-type"].startswith("text/csv")
    assert (await take(lead, other["id"], export.content))["created"] == 1
    (one,), (two,) = await listed(lead, on["id"]), await listed(lead, other["id"])
    for name in ("title", "body", "votes", "tags", "created_at"):
        assert one[name] == two[name], name
    sheet = await lead.client.get(f"{REQUESTS}/export", params={"board_id": on["id"]})
    (row,) = csv.DictReader(io.StringIO(sheet.content.decode("utf-8-sig"), newline=""))
    assert row["title"] == '\'-1 "quoted"', "no spreadsheet runs it"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf \n", "empty"),
        (b"name,body\na,b\n", "Unknown columns: name"),
        (b"body\nb\n", "title is needed"),
        (b"title,title\na,b\n", "title is needed"),
        (b'title\n"open\n', "No CSV"),
        (b"title\n" + b"x\n" * 1_001, "1000 rows at most"),
    ],
)
async def test_a_file_that_is_none_says_why_and_does_nothing(lead, board, content, why):
    on = await board()
    refused = await take(lead, on["id"], content, status=400)
    assert why in refused["detail"]
    assert await listed(lead, on["id"]) == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_umlauts_survive_whatever_the_encoding(encoding):
    (row,) = read("title,body\nGrößer,Öl € ja\n".encode(encoding), maximum=9, now=NOW)
    assert (row.request.title, row.request.body) == ("Größer", "Öl € ja")


CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(rows=st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=8))
def test_no_cells_break_the_reading(rows):
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows([["title", "status", "created_at"], *rows])
    try:
        found = read(buffer.getvalue().encode(), maximum=99, now=NOW)
    except InvalidError:
        return
    assert all((each.request is None) != (each.problem is None) for each in found)


async def test_only_leads_import_and_customers_do_not_export(caller, board):
    on, agent, customer = await board(), await caller("agent"), await caller()
    await take(agent, on["id"], "title\nx\n", status=403)
    assert (await customer.client.get(f"{REQUESTS}/export")).status_code == 403

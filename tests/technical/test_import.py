"""Imports over HTTP: what becomes of a file, and of the same file again."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from litestar import Litestar
from sqlalchemy import text

from app.database import Database
from app.jobs import LAST_ATTEMPT
from app.main import make_worker
from app.technical.service.importing import purge
from tests.callers import MakeCaller
from tests.technical.folding import rebuild, state_of
from tests.technical.imports import ROUTE, Desk, as_csv, jsonl, zammad, zendesk

CARD = "4111 1111 1111 1111"


@pytest.fixture
async def desk(app: Litestar, database: Database, caller: MakeCaller) -> Desk:
    lead = await caller("lead")
    return Desk(app, database, lead.client, f"origin-{uuid4().hex[:12]}")


def row(number: int, **changed: Any) -> dict[str, Any]:
    made = {"id": number, "subject": f"Ticket {number}", "description": f"It fails {number} times."}
    return made | {"status": "closed"} | changed


async def test_a_ticket_of_zendesks_export_comes_whole(desk):
    given = zendesk()
    done = await desk.run(jsonl(given))
    assert (done["status"], done["format"], done["created"], done["failed"]) == ("done", "jsonl", 1, 0)
    assert (done["rows_total"], done["rows_done"], done["messages"]) == (1, 1, 3)
    ticket = await desk.ticket("35436")
    assert (ticket["subject"], ticket["status"], ticket["priority"]) == ("Export stops", "solved", "high")
    assert ticket["tags"] == ["enterprise", "export"]
    assert ticket["source"] == "import"
    assert ticket["created_at"] == "2025-03-01T10:00:00Z"
    assert ticket["solved_at"] == ticket["updated_at"] == "2025-03-03T12:00:00Z"
    assert ticket["waiting_since"] is None
    assert ticket["number"].startswith("TEC-")
    clocks = await desk.client.get(f"/v1/technical/tickets/{ticket['id']}/clocks")
    assert clocks.json()["clocks"] == []  # it is finished
    person = (await desk.client.get(f"/v1/identity/people/{ticket['requester_id']}")).json()
    assert (person["name"], person["email"]) == ("Ada Byron", given["requester"]["email"])
    assert person["role"] == "customer"
    account = (await desk.client.get(f"/v1/identity/accounts/{ticket['account_id']}")).json()
    assert account["name"] == given["organization"]["name"]
    assert person["account_id"] == account["id"]
    said = await desk.messages("35436")
    assert [(each["kind"], each["speaker"]) for each in said] == [
        ("public", "customer"),
        ("public", "staff"),
        ("note", "staff"),
    ]
    assert [each["created_at"] for each in said][:2] == ["2025-03-01T10:00:00Z", "2025-03-01T11:30:00Z"]
    warned = {each["field"]: each["message"] for each in done["warnings"]}
    assert "custom.27642" in warned
    assert warned["file"] == "Unknown column satisfaction_rating: left out"


async def test_a_ticket_of_zammads_comes_with_its_html_made_safe(desk):
    given = zammad()
    await desk.run(jsonl(given))
    ticket = await desk.ticket("7")
    assert (ticket["subject"], ticket["status"], ticket["priority"]) == ("Login fails", "pending", "high")
    assert ticket["description"] == "I cannot log in."
    assert ticket["assignee_id"] is None
    first, second = await desk.messages("7")
    assert "script" not in first["html"]
    assert "<b>log in</b>" in first["html"]
    assert (first["speaker"], second["speaker"]) == ("customer", "staff")
    clocks = (await desk.client.get(f"/v1/technical/tickets/{ticket['id']}/clocks")).json()["clocks"]
    assert [(each["kind"], each["state"]) for each in clocks] == [("resolution", "paused")]


async def test_the_same_file_again_changes_nothing(desk):
    content = jsonl(zendesk(), zammad(), row(1))
    first = await desk.run(content)
    counted = await desk.count()
    again = await desk.run(content)
    assert (first["created"], again["created"], again["updated"], again["unchanged"]) == (3, 0, 0, 3)
    assert again["messages"] == 0
    assert await desk.count() == counted == (3, 6)


async def test_what_changed_there_changes_here_and_its_timeline_tells_it(desk):
    given = zendesk(status="open")
    await desk.run(jsonl(given))
    given["comments"].append(
        {"id": 4, "body": "It works!", "author_id": 2001, "created_at": "2025-03-04T10:00:00Z"}
    )
    again = await desk.run(jsonl(given | {"status": "closed", "subject": "Export stopped"}))
    assert (again["updated"], again["messages"]) == (1, 1)
    ticket = await desk.ticket("35436")
    assert (ticket["status"], ticket["subject"], ticket["version"]) == ("closed", "Export stopped", 2)
    assert ticket["closed_at"] is not None
    assert [each["body"] for each in await desk.messages("35436")][-1] == "It works!"
    clocks = (await desk.client.get(f"/v1/technical/tickets/{ticket['id']}/clocks")).json()["clocks"]
    assert {each["state"] for each in clocks} == {"canceled"}
    states = await rebuild(desk.database, ticket["id"])
    assert states[2] == await state_of(desk.database, ticket["id"])


async def test_a_ticket_changed_here_since_keeps_its_fields_and_gets_what_was_said(desk):
    given = zendesk(status="open")
    await desk.run(jsonl(given))
    ticket = await desk.ticket("35436")
    route = f"/v1/technical/tickets/{ticket['id']}"
    assert (await desk.client.patch(route, json={"priority": "urgent"})).status_code == 200
    given["comments"].append(
        {"id": 4, "body": "Hello?", "author_id": 2001, "created_at": "2025-03-04T10:00:00Z"}
    )
    again = await desk.run(jsonl(given | {"priority": "low"}))
    assert again["messages"] == 1
    assert "Changed here since" in str(again["warnings"])
    after = await desk.ticket("35436")
    assert after["priority"] == "urgent"
    assert after["waiting_since"] == "2025-03-04T10:00:00Z"


async def test_a_bad_row_fails_alone_and_its_text_stays(desk):
    bad = row(2, status="exploded", created_at="2999-01-01T00:00:00Z")
    content = (
        jsonl(row(1)) + jsonl(bad) + b'{"id": 3, "subject":\n' + b"[1]\n" + jsonl(row(4), {"subject": "x"})
    )
    done = await desk.run(content, format="jsonl")
    assert (done["created"], done["failed"], done["rows_done"]) == (2, 4, 6)
    errors = await desk.errors(done["id"])
    assert [(each["line"], each["field"]) for each in errors] == [
        (2, "status"),
        (2, "created_at"),
        (3, "row"),
        (4, "row"),
        (6, "external_id"),
    ]
    assert errors[1]["message"] == "Lies in the future"
    assert errors[2]["raw"] == '{"id": 3, "subject":'
    assert '"exploded"' in errors[0]["raw"]
    assert errors[1]["raw"] is None
    sheet = await desk.client.get(f"/v1/technical/imports/{done['id']}/errors.csv")
    assert sheet.headers["content-type"].startswith("text/csv")
    assert len(sheet.text.splitlines()) == 6
    mended = await desk.run(jsonl(row(2, status="open")))
    assert mended["created"] == 1


async def test_a_dry_run_counts_and_writes_nothing(desk):
    content = jsonl(zendesk(), zammad(), row(1, status="odd"))
    done = await desk.run(content, dry_run="true")
    assert (done["created"], done["failed"], done["messages"]) == (2, 1, 5)
    assert len(await desk.errors(done["id"])) == 1
    assert await desk.count() == (0, 0)
    async with desk.database.session() as session:
        people = await session.scalar(
            text("select count(*) from person where external_id like :origin"), {"origin": f"{desk.origin}%"}
        )
        accounts = await session.scalar(
            text("select count(*) from account where external_id like :origin"), {"origin": f"{desk.origin}%"}
        )
    assert (people, accounts) == (0, 0)
    real = await desk.run(content)
    assert {name: real[name] for name in ("created", "failed", "messages", "unchanged")} == {
        name: done[name] for name in ("created", "failed", "messages", "unchanged")
    }


async def test_a_ticket_twice_in_a_file_is_one_ticket(desk):
    done = await desk.run(jsonl(row(1), row(2), row(1, subject="Later"), row(1, subject="Later")))
    assert (done["created"], done["updated"], done["unchanged"]) == (2, 1, 1)
    assert (await desk.ticket("1"))["subject"] == "Later"
    assert await desk.count() == (2, 2)


async def test_zendesks_csv_needs_no_mapping(desk):
    address = f"grace-{uuid4()}@example.com"
    titles = {
        "Summation column": 1,
        "Id": 77,
        "Requester": "Grace Hopper",
        "Requester id": 31,
        "Requester external id": "",
        "Requester email": address,
        "Assignee": "",
        "Group": "-",
        "Subject": "Invoice\nwrong; twice",
        "Tags": "billing urgent_fix",
        "Status": "Hold",
        "Priority": "-",
        "Created at": "2025-06-01 10:00",
        "Updated at": "2025-06-01 11:00",
        "Organization": "Navy",
        "Satisfaction Score": "Offered",
    }
    done = await desk.run(as_csv([titles], delimiter=";"), zone="Europe/Berlin")
    assert (done["format"], done["created"], done["failed"]) == ("csv", 1, 0)
    ticket = await desk.ticket("77")
    assert ticket["subject"] == "Invoice wrong; twice"
    assert (ticket["status"], ticket["priority"]) == ("on_hold", "normal")
    assert ticket["tags"] == ["billing", "urgent_fix"]
    assert ticket["created_at"] == "2025-06-01T08:00:00Z"
    assert done["warnings"] == [
        {"field": "file", "message": "Unknown column Satisfaction Score: left out", "rows": 0, "line": 4}
    ]


async def test_a_mapping_names_columns_and_values(desk):
    content = as_csv([{"Case no": "A-1", "What": "Broken", "Stage": "Waiting for vendor", "Id": "x"}])
    mapping = '{"Case no": "external_id", "What": "subject", "Stage": "status", "Id": null}'
    values = '{"status": {"waiting for vendor": "on_hold"}}'
    done = await desk.run(content, mapping=mapping, values=values)
    assert (done["created"], done["failed"]) == (1, 0)
    ticket = await desk.ticket("A-1")
    assert (ticket["subject"], ticket["status"]) == ("Broken", "on_hold")


async def test_our_own_view_of_a_ticket_comes_back_as_it_was(desk, caller, open_ticket):
    """A page of the list, written as JSON lines, is an import."""
    customer = await caller("customer")
    made = await open_ticket(customer, subject="Round trip", product="Exporter", environment="Linux")
    shown = (await desk.client.get(f"/v1/technical/tickets/{made['id']}")).json()
    done = await desk.run(jsonl(shown))
    assert (done["created"], done["failed"], done["warnings"]) == (1, 0, [])
    copy = await desk.ticket(made["id"])
    same = (
        "subject",
        "description",
        "status",
        "priority",
        "product",
        "environment",
        "requester_id",
        "account_id",
    )
    assert {name: copy[name] for name in same} == {name: shown[name] for name in same}
    assert copy["created_at"] == shown["created_at"]


@pytest.mark.parametrize(
    ("unknown_people", "created", "failed", "people"),
    [("create", 1, 0, 1), ("skip", 1, 0, 0), ("fail", 0, 1, 0)],
)
async def test_unknown_people_are_made_left_out_or_refused(desk, unknown_people, created, failed, people):
    address = f"who-{uuid4()}@example.com"
    done = await desk.run(jsonl(row(1, requester_email=address)), unknown_people=unknown_people)
    assert (done["created"], done["failed"]) == (created, failed)
    found = await desk.client.get("/v1/identity/people", params={"q": address})
    assert len(found.json()["items"]) == people
    if unknown_people == "skip":
        ticket = await desk.ticket("1")
        assert ticket["requester_id"] is None
        async with desk.database.session() as session:
            statement = text(
                "select email from participant p join conversation c on c.id = p.conversation_id"
                " where c.subject_id = :id"
            )
            assert await session.scalar(statement, {"id": UUID(ticket["id"])}) == address


async def test_assignees_are_found_among_the_staff_by_address_or_name(desk, caller):
    agent = await caller("agent")
    found = (await desk.client.get(f"/v1/identity/people/{agent.person_id}")).json()
    done = await desk.run(
        jsonl(row(1, assignee_email=found["email"].upper()), row(2, assignee="nobody@example.com"))
    )
    assert (await desk.ticket("1"))["assignee_id"] == str(agent.person_id)
    assert (await desk.ticket("2"))["assignee_id"] is None
    assert done["warnings"] == [
        {
            "field": "assignee",
            "message": "Nobody of the staff is nobody@example.com",
            "rows": 1,
            "line": 2,
        }
    ]


async def test_card_numbers_are_removed_wherever_they_stand(desk):
    given = zendesk(subject=f"Card {CARD}", description=f"Mine is {CARD}.")
    given["comments"][0]["body"] = f"Mine is {CARD}."
    bad = row(9, status="odd", description=CARD)
    done = await desk.run(jsonl(given, bad))
    ticket, said = await desk.ticket("35436"), await desk.messages("35436")
    errors = await desk.errors(done["id"])
    assert CARD not in str([ticket, said, errors])
    assert "ending 1111" in ticket["subject"]


@pytest.mark.parametrize(
    ("encoding", "warned"), [("utf-8", False), ("utf-8-sig", False), ("utf-16", False), ("latin-1", True)]
)
async def test_encodings_are_found_out(desk, encoding, warned):
    content = "id;subject\r\n1;Größe ändern\r\n".encode(encoding)
    done = await desk.run(content)
    assert (await desk.ticket("1"))["subject"] == "Größe ändern"
    assert any("Latin-1" in each["message"] for each in done["warnings"]) is warned


async def test_a_file_that_is_no_list_of_tickets_is_refused(desk):
    for content in (b"", b"  \n\n", b'[{"id": 1}]'):
        response = await desk.send(content)
        assert (response.status_code, response.json()["code"]) == (422, "invalid_import"), content
    response = await desk.send(b"id\n1\n", mapping='{"id": "nothing"}')
    assert (response.status_code, response.json()["code"]) == (422, "invalid_import")
    for fields in ({"mapping": "["}, {"zone": "Mars/Olympus"}, {"origin": "No Spaces"}, {"format": "xml"}):
        response = await desk.send(b"id\n1\n", **fields)
        assert response.status_code == 400, fields
    response = await desk.client.post(ROUTE, json={})
    assert response.status_code == 415


async def test_only_leads_and_admins_import(desk, caller):
    for role, status in (("agent", 403), ("customer", 403)):
        client = (await caller(role)).client
        data, files = {"origin": "x"}, {"file": ("x", b"id\n1\n", "text/csv")}
        response = await client.post(ROUTE, data=data, files=files)
        assert response.status_code == status


async def test_an_import_is_canceled_once_and_keeps_what_it_took(desk):
    response = await desk.send(jsonl(row(1)))
    route = f"/v1/technical/imports/{response.json()['id']}"
    canceled = await desk.client.post(f"{route}/cancel")
    assert (canceled.status_code, canceled.json()["status"]) == (200, "canceled")
    await desk.importer.run(UUID(response.json()["id"]))
    assert await desk.count() == (0, 0)
    again = await desk.client.post(f"{route}/cancel")
    assert (again.status_code, again.json()["code"]) == (409, "import_over")
    listed = await desk.client.get("/v1/technical/imports", params={"status": "canceled"})
    assert response.json()["id"] in [each["id"] for each in listed.json()["items"]]


async def test_two_imports_of_one_origin_at_once_make_each_ticket_once(desk):
    content = jsonl(
        *(row(number, requester_email=f"p{number % 3}-{desk.origin}@example.com") for number in range(40))
    )
    sent = [await desk.send(content) for _ in range(3)]
    await asyncio.gather(*(desk.importer.run(UUID(each.json()["id"])) for each in sent))
    done = [await desk.shown(each.json()["id"]) for each in sent]
    assert sum(each["created"] for each in done) == 40
    assert sum(each["unchanged"] for each in done) == 80
    assert await desk.count() == (40, 40)


async def test_one_job_twice_at_once_takes_each_row_once(desk):
    """A worker that was thought dead goes on beside the one that took over."""
    sent = (await desk.send(jsonl(*(row(number) for number in range(700))))).json()["id"]
    await asyncio.gather(*(desk.importer.run(UUID(sent)) for _ in range(3)))
    done = await desk.shown(sent)
    while done["status"] == "running":
        await desk.importer.run(UUID(sent))
        done = await desk.shown(sent)
    assert (done["rows_done"], done["created"], done["unchanged"]) == (700, 700, 0)


async def test_an_import_goes_on_in_another_job_after_its_slice(desk):
    sent = (await desk.send(jsonl(*(row(number) for number in range(600))))).json()["id"]
    jobs = 0
    while (await desk.shown(sent))["status"] in {"queued", "running"}:
        await desk.importer.run(UUID(sent), seconds=0)
        jobs += 1
    assert jobs == 4  # three batches, and one to see that there are no more
    assert (await desk.shown(sent))["created"] == 600


async def test_a_row_that_the_database_refuses_costs_only_itself(desk, monkeypatch):
    from app.technical.service.importing import planning

    plan = planning.Planner.plan

    async def spoil(self, session, incoming):
        planned = await plan(self, session, incoming)
        if incoming.external_id == "7":
            planned.values["priority"] = "beyond"  # a check of the table's
        return planned

    monkeypatch.setattr(planning.Planner, "plan", spoil)
    done = await desk.run(jsonl(*(row(number) for number in range(20))))
    assert (done["created"], done["failed"]) == (19, 1)
    (error,) = await desk.errors(done["id"])
    assert (error["line"], error["field"]) == (8, "row")
    assert "CheckViolation" in error["message"]


async def test_every_imported_ticket_is_told_by_one_event_that_rebuilds_it(desk):
    await desk.run(jsonl(zendesk(), zammad(), row(1)))
    for external_id in ("35436", "7", "1"):
        ticket = await desk.ticket(external_id)
        states = await rebuild(desk.database, ticket["id"])
        assert states == {1: await state_of(desk.database, ticket["id"])}


async def test_an_erased_ticket_does_not_come_back(desk, as_role):
    given = zendesk()
    await desk.run(jsonl(given))
    ticket = await desk.ticket("35436")
    async with as_role("admin") as admin:
        erased = await admin.post(
            f"/v1/identity/people/{ticket['requester_id']}/erase", json={"confirm": ticket["requester_id"]}
        )
    assert erased.is_success, erased.text
    again = await desk.run(jsonl(given))
    assert (again["created"], again["unchanged"]) == (0, 1)
    shown = (await desk.client.get(f"/v1/technical/tickets/{ticket['id']}")).json()
    assert shown["subject"] == "(erased)"


async def test_rows_that_failed_do_not_keep_who_is_erased(desk, as_role):
    address = f"gone-{uuid4()}@example.com"
    done = await desk.run(
        jsonl(row(1, requester_email=address), row(2, status="odd", requester_email=address))
    )
    person_id = (await desk.ticket("1"))["requester_id"]
    assert address in str(await desk.errors(done["id"]))
    async with as_role("admin") as admin:
        erased = await admin.post(f"/v1/identity/people/{person_id}/erase", json={"confirm": person_id})
    assert erased.json()["counts"]["imports"] == {"import_errors": 1}
    (left,) = await desk.errors(done["id"])
    assert (left["line"], left["raw"]) == (2, None)


async def test_what_is_over_for_long_is_forgotten_but_counted(desk):
    old = await desk.run(jsonl(row(1, status="odd")))
    new = await desk.run(jsonl(row(2, status="odd")))
    async with desk.database.session() as session:
        statement = text("update ticket_import set finished_at = now() - interval '31 days' where id = :id")
        await session.execute(statement, {"id": UUID(old["id"])})
    assert await purge(desk.database) >= 1
    assert await desk.errors(old["id"]) == []
    assert (await desk.shown(old["id"]))["failed"] == 1
    assert len(await desk.errors(new["id"])) == 1


async def test_a_cell_that_a_spreadsheet_would_run_is_made_a_text(desk):
    done = await desk.run(as_csv([{"id": "=1+1", "subject": "x", "status": "odd"}]))
    sheet = await desk.client.get(f"/v1/technical/imports/{done['id']}/errors.csv")
    assert "'=1+1" in sheet.text
    assert (await desk.errors(done["id"]))[0]["raw"] == "=1+1,x,odd"


async def test_the_file_is_gone_when_its_import_is_over(desk):
    done = await desk.run(jsonl(row(1)))
    async with desk.database.session() as session:
        statement = text("select count(*) from ticket_import_chunk where import_id = :id")
        assert await session.scalar(statement, {"id": UUID(done["id"])}) == 0


async def test_what_is_queued_is_what_the_worker_takes(desk):
    """The handler that the app's own worker has for the job that the upload queued."""
    sent = (await desk.send(jsonl(row(1)))).json()["id"]
    async with desk.database.session() as session:
        statement = text(
            "select entrypoint, payload from pgqueuer where convert_from(payload, 'UTF8') like :id"
        )
        job = (await session.execute(statement, {"id": f"%{sent}%"})).one()
    worker = make_worker(desk.app.state.settings, desk.database, desk.app.state.rag)
    await worker._handlers[job.entrypoint](job.payload, 0)
    assert (await desk.shown(sent))["status"] == "done"


async def test_an_import_that_cannot_go_on_is_ended_by_its_last_attempt(desk, monkeypatch):
    sent = (await desk.send(jsonl(row(1)))).json()["id"]

    async def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("not this time")

    importer = desk.importer
    monkeypatch.setattr(importer.__class__, "run", fail)
    payload = b'{"import_id": "%s"}' % sent.encode()
    for attempt, status in ((0, "queued"), (LAST_ATTEMPT, "failed")):
        with pytest.raises(RuntimeError):
            await importer.handle(payload, attempt)
        assert (await desk.shown(sent))["status"] == status
    assert (await desk.shown(sent))["problem"] == "Stopped at line 1: RuntimeError"

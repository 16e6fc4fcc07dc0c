"""Cases: the table of transitions, what messages do, who sees what, what an erasure leaves."""

from __future__ import annotations

import asyncio
import itertools
import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from app.billing.constants import PAUSED, TRANSITIONS, UNFINISHED, CaseStatus, Mover
from app.billing.desk import Desk
from app.billing.exceptions import InvalidCaseTransitionError
from app.billing.service import cases
from app.billing.service.cases import changes, closing
from app.billing.service.cases.mailing import BillingMail
from app.billing.service.cases.openwork import BillingWork
from app.billing.service.cases.personal import BillingData
from app.config import Settings
from app.database import Database
from app.events import Subject
from app.identity.principal import SYSTEM
from app.knowledge import ReceivedMail
from app.mail import Mailer
from tests.billing.refunding import pay
from tests.callers import Caller, MakeCaller

PATH = "/v1/billing/cases"
WORKED_ON = ("open", "awaiting_customer", "awaiting_approval", "awaiting_provider")


@pytest.fixture
async def owner(caller: MakeCaller) -> Caller:
    return await caller("customer")


@pytest.fixture
async def agent(caller: MakeCaller) -> Caller:
    return await caller("agent")


async def opened(by: Caller, **fields: Any) -> dict[str, Any]:
    body = {"kind": "invoice_question", "subject": "My invoice", "description": "What is this for?"}
    response = await by.client.post(PATH, json=body | fields)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


async def put(database: Database, case_id: str, status: str) -> None:
    """Set a case down in a status, as if it had come there."""
    async with database.session() as session:
        statement = "update billing_case set status = :status, resolved_at = now() where id = :id"
        await session.execute(text(statement), {"status": str(status), "id": case_id})


async def say(by: Caller, case: dict[str, Any], body: str = "Hello.", **more: Any) -> Any:
    return await by.client.post(f"{PATH}/{case['id']}/messages", json={"body": body} | more)


async def history(database: Database, case: dict[str, Any]) -> int:
    """The case's version. Each event starts from what those before it left, none is lost, and their fold is
    the case as it stands."""
    async with database.session() as session:
        found = await session.execute(
            text(
                "select before, after from event where subject_type = 'billing_case' and subject_id = :id"
                " and type like 'billing_case.%' order by CAST(after ->> 'version' AS int)"
            ),
            {"id": case["id"]},
        )
        folded: dict[str, Any] = {}
        for count, (before, after) in enumerate(found.all(), start=1):
            assert after["version"] == count
            assert before is None or before == {name: folded[name] for name in before}
            folded |= after
        row = await cases.get(session, UUID(case["id"]), principal=SYSTEM)
        for name in changes.STATE:
            value = getattr(row, name)
            if name == "description":
                value = changes.text_hash(value)
            if isinstance(value, datetime):
                assert datetime.fromisoformat(folded[name]) == value, name
            else:
                assert folded[name] == (str(value) if isinstance(value, UUID) else value), name
        return row.version


def test_the_table_is_the_rule_written_by_hand():
    for mover in Mover:
        for one, other in itertools.product(CaseStatus, CaseStatus):
            allowed = mover in TRANSITIONS.get((one, other), frozenset())
            staff = mover in (Mover.staff, Mover.lead)
            if one is other or CaseStatus.new is other or one is CaseStatus.closed:
                expected = False
            elif other is CaseStatus.closed:
                expected = one is CaseStatus.resolved and mover in (Mover.lead, Mover.timer)
            elif one is CaseStatus.resolved:
                expected = other is CaseStatus.open and (staff or mover in (Mover.reply, Mover.refund))
            elif other is CaseStatus.resolved:
                expected = staff or mover in (Mover.requester, Mover.refund)
            elif (one, other) == (CaseStatus.awaiting_customer, CaseStatus.open):
                expected = staff or mover in (Mover.reply, Mover.refund)
            else:
                expected = staff or mover is Mover.refund
            assert allowed is expected, (one, other, mover)


@pytest.mark.parametrize("role", ["agent", "lead", "customer"])
async def test_every_move_is_as_the_table_says(caller, database, owner, role):
    mover = {"agent": Mover.staff, "lead": Mover.lead, "customer": Mover.requester}[role]
    by = owner if role == "customer" else await caller(role)
    case = await opened(owner)
    for one, other in itertools.product(CaseStatus, CaseStatus):
        await put(database, case["id"], one)
        response = await by.client.post(f"{PATH}/{case['id']}/transitions", json={"to": other})
        if mover in TRANSITIONS.get((one, other), frozenset()):
            assert (response.status_code, response.json()["status"]) == (200, other), (one, other)
        else:
            told = response.json()
            assert (response.status_code, told["code"], told["current"]) == (409, "invalid_transition", one)
            assert told["allowed"] == [
                to for to in CaseStatus if mover in TRANSITIONS.get((one, to), frozenset())
            ]


@pytest.mark.parametrize("status", CaseStatus)
async def test_a_refund_moves_its_case_where_the_table_lets_it(database, owner, status):
    case = await opened(owner)
    for to in CaseStatus:
        await put(database, case["id"], status)
        async with database.session() as session:
            await cases.follow_refund(session, UUID(case["id"]), to, actor=SYSTEM)
            now = (await cases.get(session, UUID(case["id"]), principal=SYSTEM)).status
        may = Mover.refund in TRANSITIONS.get((status, to), frozenset())
        assert now == (to if may else status)


async def test_a_customers_reply_opens_and_the_staffs_first_answer_too(owner, agent, database):
    case = await opened(owner)
    answered = (await say(agent, case)).json()
    assert (answered["case"]["status"], answered["case"]["waiting_since"]) == ("open", None)
    await say(agent, case, status="awaiting_customer")
    replied = (await say(owner, case)).json()
    assert replied["case"]["status"] == "open"
    assert replied["case"]["waiting_since"] is not None
    solved = (await say(agent, case, status="resolved")).json()
    assert solved["case"]["status"] == "resolved"
    again = (await say(owner, case)).json()["case"]
    assert (again["id"], again["status"], again["reopens"]) == (case["id"], "open", 1)


@pytest.mark.parametrize("status", ["closed", "resolved"])
async def test_what_is_over_goes_on_in_a_follow_up(owner, agent, database, status):
    case = await opened(owner, subject="Twice")
    await put(database, case["id"], status)
    async with database.session() as session:
        long_ago = "update billing_case set resolved_at = now() - interval '15 days' where id = :id"
        await session.execute(text(long_ago), {"id": case["id"]})
    made = (await say(owner, case, "Once more.")).json()["case"]
    assert (made["follows_id"], made["subject"], made["status"]) == (case["id"], "Twice", "new")
    assert made["source"] == "follow_up"
    if status == "closed":
        note = await say(agent, case, kind="note")
        assert (note.status_code, note.json()["code"]) == (409, "case_closed")
        changed = await agent.client.patch(f"{PATH}/{case['id']}", json={"priority": "high"})
        assert changed.json()["code"] == "case_closed"


async def test_the_timer_closes_what_was_resolved_long_ago(owner, agent, database, settings):
    old, new = await opened(owner), await opened(owner)
    for case in (old, new):
        await say(agent, case, status="resolved")
    async with database.session() as session:
        long_ago = "update billing_case set resolved_at = now() - interval '15 days' where id = :id"
        await session.execute(text(long_ago), {"id": old["id"]})
    await closing.close_due(database, Desk(mailer=Mailer(settings)))
    found = [(await agent.client.get(f"{PATH}/{each['id']}")).json()["status"] for each in (old, new)]
    assert found == ["closed", "resolved"]


async def test_clocks_of_a_policy(caller, owner):
    """Paused while the customer or the provider has to act, running while we approve, met when resolved."""
    admin = await caller("admin")
    days = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    calendar = {
        "name": f"always {uuid4()}",
        "zone": "UTC",
        "hours": [{"weekday": day, "opens": "00:00", "closes": "24:00"} for day in days],
    }
    calendar_id = (await admin.client.post("/v1/sla/calendars", json=calendar)).json()["id"]
    tag = f"t{uuid4().hex}"
    policy = {
        "name": tag,
        "calendar_id": calendar_id,
        "conditions": [
            {"field": "desk", "operator": "any_of", "values": ["billing"]},
            {"field": "tags", "operator": "any_of", "values": [tag]},
        ],
        "targets": [{"kind": "resolution", "seconds": 36000}],
    }
    response = await admin.client.post("/v1/sla/policies", json=policy)
    assert response.is_success, response.text
    case = await opened(admin, requester_id=str(owner.person_id), tags=[tag])

    async def state() -> str:
        clocks = (await admin.client.get(f"{PATH}/{case['id']}/clocks")).json()["clocks"]
        return str(next(each["state"] for each in clocks if each["kind"] == "resolution"))

    assert await state() == "running"
    for to in (*WORKED_ON, "awaiting_provider", "awaiting_approval"):
        current = (await admin.client.get(f"{PATH}/{case['id']}")).json()["status"]
        if to != current:
            moved = await admin.client.post(f"{PATH}/{case['id']}/transitions", json={"to": to})
            assert moved.is_success, moved.text
        assert await state() == ("paused" if CaseStatus(to) in PAUSED else "running"), to
    await admin.client.post(f"{PATH}/{case['id']}/transitions", json={"to": "resolved"})
    assert await state() == "met"


async def test_thirty_writers_on_one_case_lose_nothing(owner, agent, database):
    case = await opened(owner)
    moves = ["open", "awaiting_customer", "awaiting_approval", "awaiting_provider", "resolved"]
    rng = random.Random(7)

    async def act(number: int) -> int:
        by = (owner, agent)[number % 2]
        if number % 3 == 0 and by is agent:
            to = rng.choice(moves)
            return (await by.client.post(f"{PATH}/{case['id']}/transitions", json={"to": to})).status_code
        if number % 3 == 1 and by is agent:
            tags = {"tags": [f"t{number}"]}
            return (await by.client.patch(f"{PATH}/{case['id']}", json=tags)).status_code
        return (await say(by, case, f"Message {number}.")).status_code

    codes = await asyncio.gather(*(act(number) for number in range(30)))
    assert set(codes) <= {200, 201, 409}
    messages = await agent.client.get(f"{PATH}/{case['id']}/messages", params={"limit": 100, "total": True})
    assert messages.json()["total"] == 1 + codes.count(201)
    assert await history(database, case) > 5


async def test_folding_the_events_gives_the_case(owner, agent, database):
    case = await opened(owner)
    rng = random.Random(11)
    for _ in range(25):
        choice = rng.randrange(4)
        if choice == 0:
            to = rng.choice(list(CaseStatus))
            await agent.client.post(f"{PATH}/{case['id']}/transitions", json={"to": to, "reason": "r"})
        elif choice == 1:
            change = {"priority": rng.choice(["low", "high", "urgent"]), "tags": [rng.choice("abc")]}
            await agent.client.patch(f"{PATH}/{case['id']}", json=change)
        else:
            await say(rng.choice([owner, agent]), case)
    assert await history(database, case) > 5


async def test_who_sees_a_case(caller, owner, agent):
    case = await opened(owner)
    colleague = await caller("customer", account_id=owner.account_id)
    partner = await caller("customer", account_id=owner.account_id, sees_account=True)
    stranger = await caller("customer", sees_account=True)
    seen = {
        name: (await by.client.get(f"{PATH}/{case['id']}")).status_code
        for name, by in (("owner", owner), ("colleague", colleague), ("partner", partner), ("x", stranger))
    }
    assert seen == {"owner": 200, "colleague": 404, "partner": 200, "x": 404}
    await agent.client.patch(
        f"{PATH}/{case['id']}", json={"tags": ["vip"], "assignee_id": str(agent.person_id)}
    )
    theirs = (await owner.client.get(f"{PATH}/{case['id']}")).json()
    assert (theirs["tags"], theirs["assignee_id"]) == ([], None)
    refused = await owner.client.get(PATH, params={"tag": "vip"})
    assert refused.status_code == 403
    listed = (await stranger.client.get(PATH)).json()["items"]
    assert listed == []


async def test_a_case_of_another_account_takes_what_was_said_along(caller, owner, agent):
    """Nobody of the account that it was taken from reads on, not even files; the new one's read all of it."""
    former = await caller("customer", account_id=owner.account_id, sees_account=True)
    latter = await caller("customer", sees_account=True)
    case = await opened(agent, account_id=str(owner.account_id))
    note = {"file": ("note.txt", b"what it says", "text/plain")}
    upload = (await agent.client.post("/v1/attachments", files=note)).json()["id"]
    said = await say(agent, case, attachments=[upload])
    assert said.status_code == 201, said.text

    async def read(by: Caller) -> list[int]:
        paths = (f"{PATH}/{case['id']}", f"{PATH}/{case['id']}/messages", f"/v1/attachments/{upload}")
        return [(await by.client.get(path)).status_code for path in paths]

    assert (await read(former), await read(latter)) == ([200] * 3, [404] * 3)
    given = {"account_id": str(latter.account_id)}
    assert (await agent.client.patch(f"{PATH}/{case['id']}", json=given)).status_code == 200
    assert (await read(former), await read(latter)) == ([404] * 3, [200] * 3)


async def test_a_case_does_not_leave_the_account_whose_payment_it_is_about(caller, owner, agent, database):
    payment = await pay(database)
    case = await opened(agent, payment_id=str(payment.id))
    path = f"{PATH}/{case['id']}"
    assert case["account_id"] == str(payment.account_id)
    for given in ({"account_id": str(owner.account_id)}, {"requester_id": str(owner.person_id)}):
        refused = await agent.client.patch(path, json=given)
        assert (refused.status_code, refused.json()["field"]) == (422, "payment_id")
        moved = await agent.client.patch(path, json=given | {"payment_id": None})
        assert (moved.status_code, moved.json()["account_id"]) == (200, str(owner.account_id))
        back = {"account_id": case["account_id"], "requester_id": None, "payment_id": str(payment.id)}
        assert (await agent.client.patch(path, json=back)).status_code == 200


async def test_a_case_without_requester_stays_its_accounts(owner, agent):
    case = await opened(owner)
    left = (await agent.client.patch(f"{PATH}/{case['id']}", json={"requester_id": None})).json()
    assert (left["requester_id"], left["account_id"]) == (None, case["account_id"])


async def test_a_customer_sets_nothing_that_is_the_staffs_and_points_to_nobody_elses(caller, owner):
    for field, value in (("priority", "urgent"), ("account_id", str(owner.account_id)), ("kind", "dispute")):
        body = {"kind": "invoice_question", "subject": "x", "description": "y"} | {field: value}
        assert (await owner.client.post(PATH, json=body)).status_code == 403, field
    body = {"kind": "invoice_question", "subject": "x", "description": "y", "invoice_id": str(uuid4())}
    response = await owner.client.post(PATH, json=body)
    assert (response.status_code, response.json()["field"]) == (422, "invoice_id")


async def test_lists_filter_search_and_page(owner, agent, unique):
    word = f"w{uuid4().hex}"
    made = [await opened(owner, subject=f"{word} {number}") for number in range(3)]
    await agent.client.patch(f"{PATH}/{made[0]['id']}", json={"priority": "urgent", "tags": [word]})
    await say(owner, made[1], f"The needle is {word}x.")

    async def numbers(**asked: Any) -> list[str]:
        response = await agent.client.get(PATH, params={"account_id": str(owner.account_id)} | asked)
        assert response.status_code == 200, response.text
        return [each["number"] for each in response.json()["items"]]

    assert await numbers(priority="urgent") == [made[0]["number"]]
    assert await numbers(tag=word) == [made[0]["number"]]
    assert await numbers(q=f"{word}x") == [made[1]["number"]]
    assert await numbers(q=made[2]["number"]) == [made[2]["number"]]
    assert await numbers(number=[made[0]["number"], "999999"]) == [made[0]["number"]]
    assert await numbers(sort="created_at") == [each["number"] for each in made]
    first = (
        await agent.client.get(PATH, params={"account_id": str(owner.account_id), "limit": 2, "total": True})
    ).json()
    assert (len(first["items"]), first["total"]) == (2, 3)


async def test_stale_versions_and_repeated_keys(owner, agent):
    case = await opened(owner)
    path = f"{PATH}/{case['id']}"
    ok = await agent.client.patch(path, json={"priority": "high"}, headers={"If-Match": '"1"'})
    assert ok.headers["etag"] == '"2"'
    stale = await agent.client.patch(path, json={"priority": "low"}, headers={"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["current_version"]) == (412, 2)
    key = {"Idempotency-Key": str(uuid4())}
    body = {"kind": "cancellation", "subject": "Stop", "description": "Please."}
    one, two = [await owner.client.post(PATH, json=body, headers=key) for _ in range(2)]
    assert one.json() == two.json()
    assert two.headers["idempotency-replayed"] == "true"


async def test_card_numbers_are_kept_nowhere(owner, database):
    case = await opened(owner, subject="4242 4242 4242 4242", description="4242424242424242")
    async with database.session() as session:
        for table in ("billing_case", "message", "event", "matchable"):
            statement = f"select count(*) from {table} t where t::text ~ '4242 4242|42424242'"
            assert not await session.scalar(text(statement)), table
    assert "4242 4242" not in str(case)


async def test_an_erasure_leaves_no_word_and_the_ledger_as_it_was(owner, database):
    word = f"secret{uuid4().hex}"
    case = await opened(owner, subject=word, description=f"{word} in the text")
    data = BillingData()
    async with database.session() as session:
        exported = await data.export(session, owner.person_id)
        assert [each["subject"] for each in exported["cases"]] == [word]
        await data.hold(session, owner.person_id)
        receipt = await data.erase(session, owner.person_id)
        assert receipt["cases"] == 1
    async with database.session() as session:
        for table in ("billing_case", "event", "matchable"):
            statement = f"select count(*) from {table} t where t::text like :word"
            assert not await session.scalar(text(statement), {"word": f"%{word}%"}), table
        left = await cases.get(session, UUID(case["id"]), principal=SYSTEM)
        assert (left.subject, left.requester_id, left.version) == ("(erased)", None, 2)


async def test_other_desks_learn_what_is_open_about_their_issues(agent, owner, database):
    issue_id = uuid4()
    case = await opened(agent, requester_id=str(owner.person_id))
    async with database.session() as session:
        statement = "update billing_case set issue_id = :issue where id = :id"
        await session.execute(text(statement), {"issue": issue_id, "id": case["id"]})
    work = BillingWork()
    async with database.session() as session:
        thing = Subject("known_issue", issue_id)
        (item,) = await work.pointing_to(session, thing, principal=agent.principal)
        assert (item.number, item.is_open) == (case["number"], True)
        assert await work.pointing_to(session, thing, principal=owner.principal)
        counts = await work.counts(session, [issue_id, uuid4()], "known_issue")
        assert (counts[issue_id].open_tickets, counts[issue_id].accounts, len(counts)) == (1, 1, 1)
        assert await work.counts(session, [issue_id], "nothing") == {}


async def test_mail_opens_a_case_and_answers_go_to_it(owner, database, settings: Settings):
    desk = BillingMail(
        desk=Desk(mailer=Mailer(settings)), attachment_max_bytes=1000, addresses=("billing@x.example",)
    )

    def mail(**more: Any) -> ReceivedMail:
        values = {
            "id": uuid4(),
            "message_id": f"<{uuid4()}@x>",
            "sender": "bo@customer.example",
            "sender_name": "Bo",
            "recipients": ("billing@x.example",),
            "title": "Re: [BIL-999] Charged twice",
            "text": "You charged me twice.",
            "person_id": owner.person_id,
            "account_id": owner.account_id,
        }
        return ReceivedMail(**(values | more))

    async with database.session() as session:
        thread = await desk.handle(session, mail(), thread=None)
        case = await cases.get(session, thread.id, principal=SYSTEM)
        assert (case.subject, case.kind, case.source) == ("Charged twice", "invoice_question", "email")
        assert case.requester_id == owner.person_id
        again = await desk.handle(session, mail(text="And again."), thread=thread)
        assert again.id == thread.id
        unknown = await desk.handle(session, mail(person_id=None, account_id=None), thread=None)
        assert unknown.id != thread.id
        assert await desk.participates(session, unknown, address="bo@customer.example", person_id=None)
        assert not await desk.participates(session, unknown, address="eve@x.example", person_id=None)


async def test_an_illegal_move_in_the_service_changes_nothing(owner, database):
    case = await opened(owner)
    async with database.session() as session:
        locked = await cases.lock(session, UUID(case["id"]))
        with pytest.raises(InvalidCaseTransitionError):
            await cases.move(session, locked, CaseStatus.closed, actor=SYSTEM, as_=Mover.staff)
    async with database.session() as session:
        row = await cases.get(session, UUID(case["id"]), principal=SYSTEM)
        assert (row.status, row.version) == ("new", 1)
        assert row.status in UNFINISHED
        assert row.created_at > datetime.now(UTC) - timedelta(minutes=5)

"""Shipping a release: one notice and one mail each, whoever is killed; and what flaps is told once."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from app.database import Database
from app.features.constants import SETTLE, TRANSITIONS, FeatureStatus
from app.features.service import boards, merging, releases, requests, transitions
from app.features.service.notices import tell_due
from app.features.service.notices.mailing import mail_due
from app.features.utils.digests import next_daily, next_weekly
from app.identity import Principal, PrincipalKind, Role
from app.identity import service as identity
from app.mail import service as mail
from app.main import features_desk
from tests.features.telling import desk_that_mails

ROOT = Path(__file__).parent.parent.parent
REQUESTS, RELEASES = "/v1/features/requests", "/v1/features/releases"
PEOPLE = text("""
insert into person (name, email, role) select 'p', :name || n || '@crowd.example', 'customer'
from generate_series(1, :count) n returning id
""")
SUBSCRIBE = text("""
insert into feature_subscription (request_id, person_id, status) values (:request, :person, :status)
""")
NOTICES = text("select person_id from feature_notice where release_id = :id")
MAILS = text("""
select person_id from outgoing_mail where scope = 'features' and person_id = any (:people)
""")


class Crowd:
    """A draft that ships four requests, of which three are one group, and who waits for which."""

    def __init__(self) -> None:
        self.wanting: set[UUID] = set()
        self.people: list[UUID] = []
        self.requests: list[UUID] = []
        self.release: UUID
        self.agent: Principal


async def crowd_of(database: Database, count: int) -> Crowd:
    crowd, name = Crowd(), str(uuid4())
    async with database.session() as session:
        agent = await identity.upsert_person(
            session, f"agent {name}", role=Role.agent, email=f"{name}@acme.example"
        )
        crowd.agent = Principal(
            kind=PrincipalKind.system, role=Role.agent, person_id=agent.id, account_id=None, name="agent"
        )
        given = {"slug": f"ship-{name}", "name": name, "description": "", "account_ids": [], "labels": {}}
        board = await boards.create(session, actor=crowd.agent, **given)
        for number in range(4):
            wish = {"board_id": board.id, "title": f"{name} {number}", "body": "", "tags": []}
            made = await requests.create(session, features_desk(database.settings), actor=crowd.agent, **wish)
            crowd.requests.append(made.request.id)
        crowd.people = list(await session.scalars(PEOPLE, {"name": name, "count": count}))
        for number, person in enumerate(crowd.people):
            await _subscribe(session, crowd, number, person)
        for source in crowd.requests[:2]:
            await merging.merge(session, source, crowd.requests[2], actor=crowd.agent)
        draft = await releases.create(
            session, actor=crowd.agent, board_id=board.id, title="Autumn", request_ids=crowd.requests
        )
        crowd.release = draft.id
    erased, gone = crowd.people[7], crowd.people[8]
    async with database.session() as session:
        await session.execute(text("update person set active = false where id = :id"), {"id": gone})
        await session.execute(
            text("update person set erased_at = now(), email = null where id = :id"), {"id": erased}
        )
    crowd.wanting -= {erased, gone}
    return crowd


async def _subscribe(session, crowd: Crowd, number: int, person: UUID) -> None:
    """Everybody to one, every other one to a second; every tenth wants to hear nothing of any."""
    wanted = {number % 4} | ({(number + 1) % 4} if number % 2 else set())
    silent = number % 10 == 3
    for each in range(4) if silent else wanted:
        row = {"request": crowd.requests[each], "person": person, "status": not silent}
        await session.execute(SUBSCRIBE, row)
    if not silent:
        crowd.wanting.add(person)


async def ship_and_kill(database: Database, *, people: int, kills: list[int]) -> None:
    crowd = await crowd_of(database, people)
    async with database.session() as session:
        desk = features_desk(database.settings)
        await releases.ship(session, desk, crowd.release, actor=crowd.agent)
    async with database.session() as session:
        told = list(await session.scalars(NOTICES, {"id": crowd.release}))
    assert (len(told), set(told)) == (len(crowd.wanting), crowd.wanting)
    for mails in kills:
        await kill_after(database, mails)
    await mail_due(database, desk_that_mails(database.settings))
    async with database.session() as session:
        everybody = [*crowd.people, crowd.agent.person_id]
        mailed = list(await session.scalars(MAILS, {"people": everybody}))
    assert (len(mailed), set(mailed)) == (len(crowd.wanting), crowd.wanting)


async def kill_after(database: Database, mails: int) -> None:
    """A worker killed when it has written that many mails, the last of them not committed, or just so."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.features.telling", database.dsn()),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    for _ in range(mails):
        assert await process.stdout.readline() == b"mail\n"
    process.kill()
    assert await process.wait() == -9


async def test_each_who_waits_is_told_and_mailed_once_though_workers_are_killed(database: Database):
    await ship_and_kill(database, people=40, kills=[1, 5])


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(3))
async def test_a_thousand_are_told_and_mailed_once_though_workers_are_killed(database: Database, seed: int):
    await ship_and_kill(database, people=1_000, kills=[1 + seed, 3, 20, 41, 77, 100, 150])


async def test_shipping_moves_all_or_nothing_and_once(caller, request_of, board, database):
    agent, customer, on = await caller("agent"), await caller(), await board()
    first, second, merged = [await request_of(agent, board_id=on["id"]) for _ in range(3)]
    await customer.client.put(f"{REQUESTS}/{merged['id']}/vote")
    await agent.client.post(f"{REQUESTS}/{merged['id']}/merge", json={"into": first["id"]})
    await agent.client.post(f"{REQUESTS}/{second['id']}/transitions", json={"to": "declined"})
    ids = [each["id"] for each in (merged, second)]
    draft = {"board_id": on["id"], "title": "Autumn", "label": "4.2", "body": "**New**", "request_ids": ids}
    made = (await agent.client.post(RELEASES, json=draft)).json()
    assert [each["id"] for each in made["requests"]] == [first["id"], second["id"]], "the root stands for it"
    path = f"{RELEASES}/{made['id']}"
    assert (await customer.client.get(path)).status_code == 404, "a draft is the staff's"
    refused = await agent.client.post(f"{path}/ship")
    assert (refused.status_code, refused.json()["code"]) == (409, "invalid_transition")
    assert (await agent.client.get(f"{REQUESTS}/{first['id']}")).json()["status"] == "open"
    await agent.client.patch(path, json={"request_ids": [first["id"]]})
    stale = await agent.client.post(f"{path}/ship", headers={"If-Match": '"1"'})
    assert stale.status_code == 412
    shipped = (await agent.client.post(f"{path}/ship")).json()
    assert (shipped["status"], [each["status"] for each in shipped["requests"]]) == ("shipped", ["shipped"])
    assert (await agent.client.post(f"{path}/ship")).json()["code"] == "release_shipped"
    assert (await agent.client.patch(path, json={"request_ids": []})).json()["code"] == "release_shipped"
    assert (await agent.client.delete(path)).json()["code"] == "release_shipped"
    assert (await agent.client.patch(path, json={"title": "Fall"})).json()["title"] == "Fall"
    assert (await customer.client.get(path)).json()["body_html"] == "<p><strong>New</strong></p>"
    (notice,) = (await customer.client.get("/v1/features/notices")).json()["items"]
    assert (notice["kind"], notice["release"]["number"], notice["read"]) == (
        "released",
        shipped["number"],
        False,
    )
    assert (await agent.client.get("/v1/features/notices")).json()["items"] == [], "it was their doing"
    async with database.session() as session:
        pending = text("select count(*) from feature_announcement where request_id = :id and told_at is null")
        assert await session.scalar(pending, {"id": first["id"]}) == 0, "the release tells it"


@settings(max_examples=15, deadline=None)
@given(moves=st.lists(st.sampled_from(list(FeatureStatus)), min_size=1, max_size=6))
async def test_what_flaps_is_told_once_or_not_at_all(database: Database, moves):
    crowd = await crowd_of(database, 12)
    request, current = crowd.requests[3], FeatureStatus.open
    for to in moves:
        if to in TRANSITIONS[current]:
            async with database.session() as session:
                await transitions.move(session, request, to, actor=crowd.agent)
            current = to
    await tell_due(database, at=datetime.now(UTC) + SETTLE / 2)
    assert await told_of(database, request) == set(), "it may change yet"
    for _ in range(2):
        await tell_due(database, at=datetime.now(UTC) + SETTLE + timedelta(seconds=1))
    waiting = {
        each
        for number, each in enumerate(crowd.people)
        if each in crowd.wanting and (number % 4 == 3 or (number % 2 and (number + 1) % 4 == 3))
    }
    assert await told_of(database, request) == (waiting if current is not FeatureStatus.open else set())


async def told_of(database: Database, request_id: UUID) -> set[UUID]:
    async with database.session() as session:
        found = text("select person_id from feature_notice where request_id = :id and kind = 'status'")
        people = list(await session.scalars(found, {"id": request_id}))
    assert len(people) == len(set(people))
    return set(people)


async def test_a_digest_is_one_mail_of_what_is_still_wanted(caller, request_of, board, database):
    agent, on = await caller("agent"), await board()
    customer = await caller()
    preferences = {"email": True, "digest": "daily"}
    await customer.client.put("/v1/features/notices/preferences", json=preferences)
    made = [await request_of(agent, board_id=on["id"]) for _ in range(3)]
    for each in made:
        await customer.client.put(f"{REQUESTS}/{each['id']}/vote")
        draft = {"board_id": on["id"], "title": f"R {each['number']}", "request_ids": [each["id"]]}
        release = (await agent.client.post(RELEASES, json=draft)).json()
        assert (await agent.client.post(f"{RELEASES}/{release['id']}/ship")).status_code == 200
    await customer.client.delete(f"{REQUESTS}/{made[1]['id']}/subscription")
    await agent.client.patch(f"{REQUESTS}/{made[2]['id']}", json={"hidden": True})
    desk, now = desk_that_mails(database.settings), datetime.now(UTC)

    async def mails():
        async with database.session() as session:
            wanted = text("select title from outgoing_mail where person_id = :id")
            return list(await session.scalars(wanted, {"id": customer.person_id}))

    async with database.session() as session:
        address = text("update person set email = :to where id = :id")
        await session.execute(address, {"id": customer.person_id, "to": f"{uuid4()}@crowd.example"})
        due = text("update feature_notice set mail_due_at = :at where person_id = :id")
        await session.execute(due, {"id": customer.person_id, "at": next_daily(now)})
    await mail_due(database, desk, at=now)
    assert await mails() == [], "not before the morning"
    await mail_due(database, desk, at=next_daily(now))
    await mail_due(database, desk, at=next_daily(now))
    (title,) = await mails()
    assert title.startswith(f"{made[0]['number']} ")
    seen = (await customer.client.get("/v1/features/notices")).json()["items"]
    assert [each["request"]["id"] for each in seen] == [made[1]["id"], made[0]["id"]], "hidden is not told"


async def test_who_unsubscribes_by_the_mails_link_is_told_on_the_web_alone(caller, request_of, database):
    agent, customer = await caller("agent"), await caller()
    made, address = await request_of(agent), f"{uuid4()}@crowd.example"
    await customer.client.put(f"{REQUESTS}/{made['id']}/subscription", json={"comments": True})
    desk = desk_that_mails(database.settings)
    async with database.session() as session:
        addressed = text("update person set email = :to where id = :id")
        await session.execute(addressed, {"id": customer.person_id, "to": address})

    async def tell():
        await agent.client.post(f"{REQUESTS}/{made['id']}/comments", json={"body": "News."})
        await mail_due(database, desk)
        async with database.session() as session:
            rows = text("select status, scope from outgoing_mail where recipient = :to order by id")
            return [tuple(each) for each in await session.execute(rows, {"to": address})]

    assert await tell() == [("queued", "features")]
    async with database.session() as session:
        link = text("select id from outgoing_mail where recipient = :to")  # what its link stands for
        await mail.unsubscribe(session, await session.scalar(link, {"to": address}))
    assert await tell() == [("queued", "features"), ("suppressed", "features")]
    assert len((await customer.client.get("/v1/features/notices")).json()["items"]) == 2


async def test_notices_are_marked_and_are_nobody_elses(caller, request_of):
    agent, customer, other = await caller("agent"), await caller(), await caller()
    made = await request_of(agent)
    path = f"{REQUESTS}/{made['id']}"
    await customer.client.put(f"{path}/subscription", json={"status": False, "comments": True})
    await agent.client.post(f"{path}/comments", json={"body": "Which format?"})
    await agent.client.post(f"{path}/comments", json={"body": "A note.", "kind": "note"})
    await customer.client.post(f"{path}/comments", json={"body": "Any."})
    (notice,) = (await customer.client.get("/v1/features/notices", params={"read": False})).json()["items"]
    assert notice["kind"] == "comment"
    one = f"/v1/features/notices/{notice['id']}"
    assert (await other.client.patch(one, json={"read": True})).status_code == 404
    assert (await customer.client.patch(one, json={"read": True})).json()["read"] is True
    assert (await customer.client.patch(one, json={"read": False})).json()["version"] == 3
    early = {"before": "2020-01-01T00:00:00Z"}
    assert (await customer.client.post("/v1/features/notices/read", json=early)).json()["marked"] == 0
    assert (await customer.client.post("/v1/features/notices/read", json={})).json()["marked"] == 1
    assert (await customer.client.get("/v1/features/notices", params={"read": False})).json()["items"] == []


@given(seconds=st.integers(0, 10**10))
def test_digests_go_out_in_the_next_morning(seconds):
    at = datetime.fromtimestamp(seconds, UTC)
    day, week = next_daily(at), next_weekly(at)
    assert (day.hour, day.minute) == (week.hour, week.minute) == (8, 0)
    assert timedelta() < day - at <= timedelta(days=1)
    assert week.weekday() == 0
    assert timedelta() < week - at <= timedelta(days=7)

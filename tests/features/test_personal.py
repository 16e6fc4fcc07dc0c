"""After an erasure the desk holds no word of the person, and counts right; the sample's boards."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

from sqlalchemy import text

from app.features.seeding import load_features
from app.features.service.groups import count_voters
from app.identity import Role
from app.identity import service as identity
from app.main import features_desk
from tests.features.racing import WRONG
from tests.privacy.test_erasure import places_of

HOLDERS = """
select v.person_id from feature_vote v join feature_request r on r.id = v.request_id where r.board_id = :board
"""
PEOPLE, REQUESTS = "/v1/identity/people", "/v1/features/requests"


async def erase(as_role, person_id):
    async with as_role("admin") as admin:
        receipt = await admin.post(f"{PEOPLE}/{person_id}/erase", json={"confirm": str(person_id)})
    assert receipt.status_code == 200, receipt.text
    return receipt.json()["counts"]["features"]


async def test_nothing_that_somebody_wrote_is_left_anywhere(as_role, database, caller, board, request_of):
    mark, customer, agent = f"zyx{uuid4().hex[:12]}", await caller(), await caller("agent")
    on = await board()
    mine = await request_of(customer, board_id=on["id"], title=f"Let {mark} print", body=f"Says {mark}.")
    merged = await request_of(customer, board_id=on["id"], title=f"And {mark} scan")
    others = await request_of(agent, board_id=on["id"])
    await agent.client.post(f"{REQUESTS}/{merged['id']}/merge", json={"into": others["id"]})
    await customer.client.put(f"{REQUESTS}/{others['id']}/vote")
    said = await customer.client.post(f"{REQUESTS}/{others['id']}/comments", json={"body": f"I am {mark}."})
    below = {"body": "Noted.", "parent_id": said.json()["id"]}
    await agent.client.post(f"{REQUESTS}/{others['id']}/comments", json=below)
    wanted = {"comments": True}
    await customer.client.put(f"{REQUESTS}/{others['id']}/subscription", json=wanted)
    await agent.client.post(f"{REQUESTS}/{others['id']}/comments", json={"body": "News."})
    before = await places_of(database, mark)
    assert {"feature_request.title", "feature_request.body", "feature_comment.body"} < set(before)
    assert "matchable.body" in before
    async with as_role("admin") as admin:
        exported = (await admin.get(f"{PEOPLE}/{customer.person_id}/export")).json()["rooms"]["features"]
    assert len(exported["requests"]) == 2
    assert [each["body"] for each in exported["comments"]] == [f"I am {mark}."]
    counts = await erase(as_role, customer.person_id)
    assert (counts["requests"], counts["comments"], counts["votes"], counts["notices"]) == (2, 1, 2, 1)
    assert await places_of(database, mark) == {}
    seen = (await agent.client.get(f"{REQUESTS}/{mine['id']}")).json()
    assert (seen["title"], seen["body"], seen["author_id"], seen["votes"]) == ("(erased)", "", None, 0)
    assert (await agent.client.get(f"{REQUESTS}/{others['id']}")).json()["votes"] == 1
    comments = (await agent.client.get(f"{REQUESTS}/{others['id']}/comments")).json()["items"]
    assert [(each["body"], each["erased"]) for each in comments] == [
        ("", True),
        ("Noted.", False),
        ("News.", False),
    ]
    async with database.session() as session:
        ids = text("select count(*) from feature_vote where person_id = :id")
        assert await session.scalar(ids, {"id": customer.person_id}) == 0


async def test_counts_stay_right_while_people_vote_merge_and_are_erased(
    as_role, database, caller, board, request_of
):
    agent, on = await caller("agent"), await board()
    made = [await request_of(agent, board_id=on["id"]) for _ in range(3)]
    leaving, staying = [await caller() for _ in range(3)], [await caller() for _ in range(3)]
    for each in leaving:
        for one in made:
            await each.client.put(f"{REQUESTS}/{one['id']}/vote")

    async def vote(who):
        for one in made:
            assert (await who.client.put(f"{REQUESTS}/{one['id']}/vote")).status_code == 200

    async def merge():
        for _ in range(4):
            path = f"{REQUESTS}/{made[0]['id']}"
            await agent.client.post(f"{path}/merge", json={"into": made[1]["id"]})
            await agent.client.post(f"{path}/unmerge")

    await asyncio.gather(
        *(vote(each) for each in staying), *(erase(as_role, each.person_id) for each in leaving), merge()
    )
    async with database.session() as session:
        looked = (await session.execute(WRONG, {"board": UUID(on["id"])})).one()
        assert looked.wrong == 0
        left = await session.scalars(text(HOLDERS), {"board": on["id"]})
        assert set(left) == {agent.person_id} | {each.person_id for each in staying}
        assert await count_voters(session, UUID(made[2]["id"])) == 4, "it was never merged"


async def test_the_sample_has_boards_once(database, client):
    async with database.session() as session:
        names = ("oakhollow", "ferrum-fell", "marlgate")
        accounts = {each: (await identity.upsert_account(session, each, each)).id for each in names}
        for each in names:
            await identity.upsert_person(session, f"customer-{each}", account_id=accounts[each])
        await identity.upsert_person(session, "lead-support", role=Role.lead)
    desk = features_desk(database.settings)
    loaded = []
    for _ in range(2):
        async with database.session() as session:
            loaded.append(await load_features(session, desk, accounts))
    assert loaded == [True, False]
    async with database.session() as session:
        await session.execute(text("update feature_board set slug = slug || '-renamed'"))
        assert not await load_features(session, desk, accounts), "what was renamed is still there"
        await session.rollback()
    ideas = (await client.get("/v1/features/public/boards/ideas/requests")).json()["items"]
    assert (ideas[0]["title"], ideas[0]["votes"]) == ("Swap shifts without the planner", 3)
    assert "Let mechanics trade Saturdays among themselves" not in [each["title"] for each in ideas]
    (release,) = (await client.get("/v1/features/public/boards/ideas/releases")).json()["items"]
    assert [each["title"] for each in release["requests"]] == ["Public holidays of each country in one rota"]
    assert (await client.get("/v1/features/public/boards/terminals")).status_code == 404

"""Duplicates before they are born, and those that are found at night; with the real model."""

from __future__ import annotations

from functools import partial
from itertools import combinations
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.features.service.clusters import refresh
from app.features.utils.clustering import clusters
from app.main import features_desk
from app.matching import DUPLICATE_FROM, Vectors

REQUESTS, DUPLICATES = "/v1/features/requests", "/v1/features/duplicates"


@pytest.fixture
async def agent(caller):
    return await caller("agent")


@pytest.fixture
def word() -> str:
    """A word of this test alone: the database has other tests' requests."""
    return f"zq{uuid4().hex[:10]}"


@pytest.fixture
def embedded(database, rag):
    """``await embedded()``: every request has its vector, as the worker's job sees to."""
    return Vectors(database, rag.embeds).sweep


@pytest.fixture
def look(database, rag):
    """``await look()``: the nightly search for duplicates."""
    return partial(refresh, database, features_desk(database.settings, rag))


async def similar(who, title, **given):
    response = await who.client.post(f"{REQUESTS}/similar", json={"title": title} | given)
    assert response.status_code == 200, response.text
    return response.json()["items"]


async def create(who, board_id, title, status=201, **given):
    body = {"board_id": board_id, "title": title} | given
    response = await who.client.post(REQUESTS, json=body)
    assert response.status_code == status, response.text
    return response.json()


async def test_who_types_is_shown_what_there_is_in_other_words(caller, agent, board, request_of, word):
    customer, on = await caller(), await board()
    wanted = await request_of(agent, board_id=on["id"], title=f"Export the {word} as a spreadsheet")
    await request_of(agent, board_id=on["id"], title="Single sign-on with our directory")
    found = await similar(customer, f"Download {word} to Excel", board_id=on["id"])
    assert found[0]["request"]["id"] == wanted["id"]
    assert (found[0]["terms"], found[0]["voted"], found[0]["votable"]) == ([word], False, True)
    await customer.client.put(f"{REQUESTS}/{wanted['id']}/vote")
    assert (await similar(customer, f"Download {word} to Excel"))[0]["voted"] is True
    for nothing in ("", "   ", "?!"):
        assert await similar(customer, nothing, board_id=on["id"]) == []


async def test_nobody_is_shown_what_they_may_not_see(caller, agent, board, request_of, word):
    customer, staffs = await caller(), await board(visibility="staff")
    await request_of(agent, board_id=staffs["id"], title=f"Secret {word}")
    on = await board()
    hidden = await request_of(agent, board_id=on["id"], title=f"Hidden {word}")
    await agent.client.patch(f"{REQUESTS}/{hidden['id']}", json={"hidden": True})
    merged = await request_of(agent, board_id=on["id"], title=f"Merged {word}")
    target = await request_of(agent, board_id=on["id"], title=f"Target {word}")
    await agent.client.post(f"{REQUESTS}/{merged['id']}/merge", json={"into": target["id"]})
    asked = f"{word} hidden secret merged target"
    assert [each["request"]["id"] for each in await similar(customer, asked)] == [target["id"]]
    search = await customer.client.get(f"{REQUESTS}/search", params={"q": word})
    assert [each["request"]["id"] for each in search.json()["items"]] == [target["id"]]
    staff = await agent.client.get(f"{REQUESTS}/search", params={"q": word, "board_id": on["id"]})
    assert {each["request"]["id"] for each in staff.json()["items"]} == {hidden["id"], target["id"]}


async def test_a_duplicate_is_refused_with_where_to_vote_or_becomes_a_vote(
    caller, agent, board, embedded, word
):
    one, two, three, on = await caller(), await caller(), await caller(), await board()
    title, body = f"Dark mode for the {word} editor", f"At night the white {word} editor blinds me."
    made = await create(one, on["id"], title, body=body)
    await embedded()
    refused = await create(two, on["id"], title, status=409, body=body)
    assert refused["code"] == "likely_duplicate"
    (candidate,) = refused["candidates"]
    assert (candidate["id"], candidate["votes"], candidate["confidence"] >= DUPLICATE_FROM) == (
        made["id"],
        1,
        True,
    )
    assert (await two.client.put(candidate["vote"])).json()["votes"] == 2
    instead = await create(three, on["id"], title, body=body, on_duplicate="vote")
    assert (instead["id"], instead["votes"], instead["voted"]) == (made["id"], 3, True)
    elsewhere = await create(two, (await board())["id"], title, body=body)
    assert elsewhere["id"] != made["id"], "other boards have other readers"
    another = await create(two, on["id"], title, body=body, on_duplicate="create")
    assert another["id"] != made["id"]
    for each in (made, another):
        await agent.client.post(f"{REQUESTS}/{each['id']}/transitions", json={"to": "declined"})
    closed = await create(three, on["id"], title, status=409, body=body, on_duplicate="vote")
    assert {each["vote"] for each in closed["candidates"]} == {None}, "they take no votes any more"


async def test_clusters_are_merged_with_one_click_undone_and_dismissed(caller, board, embedded, look, word):
    agent, on = await caller("agent"), await board()
    text = f"Show the {word} report as a chart, please: numbers alone say little."
    same = {"on_duplicate": "create", "body": text}
    made = [await create(agent, on["id"], f"Chart of the {word} report", **same) for _ in range(3)]
    other = await create(agent, on["id"], "Keyboard shortcuts", on_duplicate="create")
    await (await caller()).client.put(f"{REQUESTS}/{made[1]['id']}/vote")

    await embedded()

    async def mine():
        await look()
        found = (await agent.client.get(DUPLICATES, params={"status": "open", "limit": 100})).json()["items"]
        return [each for each in found if each["board_id"] == on["id"]]

    (cluster,) = await mine()
    assert [each["id"] for each in await mine()] == [cluster["id"]], "the same again"
    assert {each["request"]["id"] for each in cluster["members"]} == {each["id"] for each in made}
    path = f"{DUPLICATES}/{cluster['id']}"
    stranger = {"into": other["id"]}
    refused = await agent.client.post(f"{path}/merge", json=stranger)
    assert (refused.status_code, refused.json()["code"]) == (422, "unknown_request")
    merged = (await agent.client.post(f"{path}/merge", json={})).json()
    assert (merged["status"], merged["target_id"]) == ("merged", made[1]["id"]), "it has the most votes"
    assert (await agent.client.get(f"{REQUESTS}/{made[1]['id']}")).json()["merged_count"] == 2
    again = await agent.client.post(f"{path}/merge", json={})
    assert (again.status_code, again.json()["code"]) == (409, "cluster_decided")
    assert await mine() == [], "what is merged is no duplicate any more"
    await agent.client.post(f"{REQUESTS}/{made[0]['id']}/unmerge")
    undone = (await agent.client.post(f"{path}/undo")).json()
    assert (undone["status"], undone["decided_at"]) == ("open", None)
    assert [(await agent.client.get(f"{REQUESTS}/{each['id']}")).json()["merged_into"] for each in made] == [
        None
    ] * 3
    assert [each["id"] for each in await mine()] == [cluster["id"]]
    assert (await agent.client.post(f"{path}/dismiss")).json()["status"] == "dismissed"
    assert await mine() == [], "not proposed again"
    assert (await (await caller()).client.get(DUPLICATES)).status_code == 403
    assert (await agent.client.post(f"{DUPLICATES}/refresh")).status_code == 403
    assert (await (await caller("lead")).client.post(f"{DUPLICATES}/refresh")).status_code == 202


@given(pairs=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=20))
def test_clusters_are_what_pairs_connect(pairs):
    found = clusters(pairs)
    assert sum(map(len, found)) == len({each for pair in pairs for each in pair})
    edges = {frozenset(pair) for pair in pairs}
    for one, other in pairs:
        assert [one in each for each in found] == [other in each for each in found]
    for each in found:
        reached, frontier = set(), [min(each)]
        while frontier:
            here = frontier.pop()
            reached.add(here)
            frontier += [other for other in each - reached if frozenset({here, other}) in edges]
        assert reached == each
    assert not any(one & other for one, other in combinations(found, 2))

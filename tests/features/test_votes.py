"""Votes, merges, splits and subscriptions, as callers meet them."""

from __future__ import annotations

from uuid import uuid4

import pytest

REQUESTS = "/v1/features/requests"


async def vote(who, made, method="PUT", path="vote", **body):
    return await who.client.request(method, f"{REQUESTS}/{made['id']}/{path}", **body)


async def shown(who, made):
    return (await who.client.get(f"{REQUESTS}/{made['id']}")).json()


@pytest.fixture
async def agent(caller):
    return await caller("agent")


@pytest.fixture
async def pair(agent, board, request_of):
    """Two requests of one board, without voters but the agent on each."""
    made = await board()
    return [await request_of(agent, board_id=made["id"]) for _ in range(2)]


async def merged(agent, source, target):
    response = await vote(agent, source, "POST", "merge", json={"into": target["id"]})
    assert response.status_code == 200, response.text
    return response.json()


async def test_a_vote_is_never_a_toggle(caller, agent, request_of):
    customer, made = await caller(), await request_of(agent)
    for _ in range(2):
        assert (await vote(customer, made)).json() == {
            "request_id": made["id"],
            "person_id": str(customer.person_id),
            "voted": True,
            "votes": 2,
        }
    for _ in range(2):
        assert (await vote(customer, made, "DELETE")).json()["votes"] == 1


async def test_who_reads_again_sees_the_votes_that_came(caller, agent, request_of):
    """A vote changes no version, and is in nobody's way; yet nobody is told that all is as it was."""
    customer, made = await caller(), await request_of(agent)
    first = await customer.client.get(f"{REQUESTS}/{made['id']}")
    await vote(customer, made)
    headers = {"If-None-Match": first.headers["etag"]}
    again = await customer.client.get(f"{REQUESTS}/{made['id']}", headers=headers)
    assert (again.status_code, again.json()["votes"]) == (200, 2)
    kept = {"If-Match": first.headers["etag"]}
    changed = await agent.client.patch(f"{REQUESTS}/{made['id']}", json={"tags": ["x"]}, headers=kept)
    assert changed.status_code == 200, "nor does a vote get in the way of a change"


async def test_customers_vote_for_themselves_alone(caller, agent, request_of):
    customer, other, made = await caller(), await caller(), await request_of(agent)
    own, others = (f"votes/{each.person_id}" for each in (customer, other))
    assert (await vote(customer, made, path=own)).json()["voted"]
    assert (await vote(customer, made, path=others, json={})).status_code == 404
    assert (await vote(customer, made, "DELETE", path=others)).status_code == 404
    assert (await vote(customer, made, "GET", "votes")).status_code == 404
    assert (await vote(agent, made, path=others, json={})).json()["votes"] == 3


async def test_the_staff_vote_with_the_ticket_in_which_it_was_asked(caller, agent, request_of):
    customer, made = await caller(), await request_of(agent)
    ticket = {"subject": "Please", "description": "We want this."}
    asked = (await customer.client.post("/v1/technical/tickets", json=ticket)).json()
    source, path = {"type": "ticket", "id": asked["id"]}, f"votes/{customer.person_id}"
    wrong = await vote(agent, made, path=path, json={"source": source | {"id": str(uuid4())}})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "unknown_reference")
    assert (await vote(agent, made, path=path, json={"source": source})).status_code == 200
    (first, second) = (await vote(agent, made, "GET", "votes")).json()["items"]
    assert (first["person_id"], first["source"], first["added_by"]) == (
        str(customer.person_id),
        source,
        str(agent.person_id),
    )
    assert second["source"] is None


async def test_a_key_of_nobody_has_no_vote(caller, agent, request_of):
    made, admin = await request_of(agent), await caller("admin")
    key = await admin.client.post("/v1/identity/keys", json={"name": "ci", "role": "agent"})
    header = {"Authorization": f"Bearer {key.json()['secret']}"}
    refused = await vote(agent, made, headers=header)
    assert (refused.status_code, refused.json()["code"]) == (422, "person_required")


async def test_what_is_closed_or_locked_says_why_it_takes_no_vote(caller, agent, request_of):
    early, late, made = await caller(), await caller(), await request_of(agent)
    await vote(early, made)
    await vote(agent, made, "POST", "transitions", json={"to": "declined"})
    refused = await vote(late, made)
    assert (refused.status_code, refused.json()["code"], refused.json()["status"]) == (
        409,
        "request_closed",
        "declined",
    )
    assert (await vote(early, made)).json()["votes"] == 2, "who voted already still has"
    assert (await vote(early, made, "DELETE")).json()["votes"] == 1
    open_one = await request_of(agent)
    await agent.client.patch(f"{REQUESTS}/{open_one['id']}", json={"locked": True})
    assert (await vote(late, open_one)).json()["code"] == "request_locked"


async def test_a_group_counts_a_voter_once_and_gives_each_their_own_back(caller, agent, pair):
    source, target = pair
    both, one, after = [await caller() for _ in range(3)]
    for who, made in ((both, source), (both, target), (one, source)):
        await vote(who, made)
    assert (await merged(agent, source, target))["votes"] == 3, "the agent, both, one"
    seen = await shown(after, source)
    assert (seen["merged_into"]["id"], seen["votes"], seen["voted"]) == (target["id"], 3, False)
    landed = (await vote(after, source)).json()
    assert (landed["request_id"], landed["votes"]) == (target["id"], 4)
    assert (await vote(one, target, "DELETE")).json()["votes"] == 3
    undone = (await vote(agent, source, "POST", "unmerge")).json()
    assert (undone["votes"], undone["merged_into"]) == (2, None), "the agent and both; one took it back"
    assert (await shown(agent, target))["votes"] == 3


async def test_merges_are_one_level_deep_and_undone_in_any_order(agent, board, request_of):
    made = await board()
    low, middle, top = [await request_of(agent, board_id=made["id"]) for _ in range(3)]
    await merged(agent, low, middle)
    await merged(agent, middle, top)
    assert (await shown(agent, low))["merged_into"]["id"] == top["id"]
    assert (await shown(agent, top))["merged_count"] == 2
    assert (await vote(agent, middle, "POST", "unmerge")).status_code == 200
    assert (await shown(agent, low))["merged_into"]["id"] == middle["id"]
    await merged(agent, middle, top)
    assert (await vote(agent, low, "POST", "unmerge")).status_code == 200
    await merged(agent, low, top)
    assert (await vote(agent, middle, "POST", "unmerge")).status_code == 200
    assert (await shown(agent, low))["merged_into"]["id"] == top["id"], "it was merged there by itself"


async def test_what_cannot_be_merged(agent, pair, request_of):
    source, target = pair
    elsewhere = await request_of(agent)
    for into, status, code in (
        (source, 422, "invalid_merge"),
        (elsewhere, 422, "different_board"),
        ({"id": str(uuid4())}, 404, "request_not_found"),
    ):
        refused = await vote(agent, source, "POST", "merge", json={"into": into["id"]})
        assert (refused.status_code, refused.json()["code"]) == (status, code)
    await merged(agent, source, target)
    for one, other in ((source, elsewhere), (target, source)):
        refused = await vote(agent, one, "POST", "merge", json={"into": other["id"]})
        assert (refused.status_code, refused.json()["code"]) == (409, "request_merged")
        assert refused.json()["target_id"] == target["id"]
    assert (await vote(agent, target, "POST", "unmerge")).json()["code"] == "not_merged"
    patched = await agent.client.patch(f"{REQUESTS}/{source['id']}", json={"title": "x"})
    assert patched.json()["code"] == "request_merged"


async def test_a_split_takes_voters_along_with_their_dates(caller, agent, request_of):
    stays, goes, made = await caller(), await caller(), await request_of(agent)
    for who in (stays, goes):
        await vote(who, made)
    since = {each["person_id"]: each["voted_at"] for each in (await votes_of(agent, made))}
    wanted = {"title": "The other half", "person_ids": [str(goes.person_id)]}
    half = (await vote(agent, made, "POST", "split", json=wanted)).json()
    assert (half["votes"], half["split_from_id"], half["origin"]) == (1, made["id"], "split")
    assert [(each["person_id"], each["voted_at"]) for each in await votes_of(agent, half)] == [
        (str(goes.person_id), since[str(goes.person_id)])
    ]
    assert (await shown(agent, made))["votes"] == 2
    refused = await vote(agent, made, "POST", "split", json=wanted)
    assert (refused.status_code, refused.json()["code"]) == (422, "unknown_person")


async def votes_of(agent, made):
    return (await vote(agent, made, "GET", "votes")).json()["items"]


async def test_a_vote_subscribes_and_what_somebody_said_stays(caller, agent, pair):
    source, target = pair
    customer = await caller()

    async def wants(made):
        return tuple((await vote(customer, made, "GET", "subscription")).json().values())

    assert await wants(target) == (False, False)
    await vote(customer, target)
    assert await wants(target) == (True, False)
    await vote(customer, target, "DELETE")
    assert await wants(target) == (False, False), "it came with the vote"
    assert (await vote(customer, target, path="subscription", json={"comments": True})).status_code == 200
    await vote(customer, target)
    await vote(customer, target, "DELETE")
    assert await wants(target) == (True, True)
    await vote(customer, source)
    await merged(agent, source, target)
    assert (await vote(customer, source, "DELETE", "subscription")).status_code == 204
    assert await wants(target) == await wants(source) == (False, False)
    await vote(agent, source, "POST", "unmerge")
    assert await wants(source) == (False, False), "who wanted nothing of the group gets nothing of its parts"
    await vote(customer, source)
    assert await wants(source) == (False, False)

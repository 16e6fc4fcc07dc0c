"""Requests: made, seen, changed, moved."""

from __future__ import annotations

import pytest

REQUESTS = "/v1/features/requests"


async def test_an_author_votes_for_what_they_ask(caller, request_of):
    customer = await caller()
    made = await request_of(customer, title="Export to Excel", body="Our **accountant** asks.")
    assert (made["votes"], made["voted"], made["status"], made["approved"]) == (1, True, "open", True)
    assert made["author_id"] == str(customer.person_id)
    assert "<strong>accountant</strong>" in made["body_html"]
    assert made["number"].startswith("FEA-")
    agent = await caller("agent")
    seen = (await agent.client.get(f"{REQUESTS}/{made['id']}")).json()
    assert (seen["votes"], seen["voted"], seen["account_id"]) == (1, False, str(customer.account_id))


@pytest.mark.parametrize("visibility", ["public", "customers", "accounts", "staff"])
async def test_a_board_is_seen_by_whom_it_is_for(visibility, caller, board, request_of):
    insider, outsider, agent = await caller(), await caller(), await caller("agent")
    made = await board(visibility=visibility, account_ids=[str(insider.account_id)])
    asked = await request_of(agent, board_id=made["id"])
    for who, is_in in (
        (agent, True),
        (insider, visibility != "staff"),
        (outsider, visibility in ("public", "customers")),
    ):
        for path in (f"/v1/features/boards/{made['id']}", f"{REQUESTS}/{asked['id']}"):
            assert (await who.client.get(path)).status_code == (200 if is_in else 404)
        listed = (await who.client.get(REQUESTS, params={"board_id": made["id"]})).json()["items"]
        assert [each["id"] for each in listed] == ([asked["id"]] if is_in else [])


async def test_on_a_moderated_board_others_see_what_was_approved(caller, board, request_of):
    author, other, agent = await caller(), await caller(), await caller("agent")
    made = await board(moderated=True)
    asked = await request_of(author, board_id=made["id"])
    path = f"{REQUESTS}/{asked['id']}"
    assert not asked["approved"]
    assert (await author.client.get(path)).status_code == 200
    assert (await other.client.get(path)).status_code == 404
    waiting = await agent.client.get(REQUESTS, params={"board_id": made["id"], "approved": False})
    assert [each["id"] for each in waiting.json()["items"]] == [asked["id"]]
    assert (await agent.client.patch(path, json={"approved": True})).status_code == 200
    assert (await other.client.get(path)).status_code == 200
    assert (await author.client.patch(path, json={"title": "Buy my pills"})).status_code == 200
    assert (await other.client.get(path)).status_code == 404, "what was approved were other words"
    assert (await agent.client.patch(path, json={"approved": True})).status_code == 200
    assert (await agent.client.patch(path, json={"hidden": True})).status_code == 200
    assert (await other.client.get(path)).status_code == 404


async def test_every_transition_of_the_table_and_no_other(caller, request_of):
    unfinished = {"open", "under_review", "planned", "in_progress"}
    everything = unfinished | {"shipped", "declined"}
    table = {each: everything - {each} for each in unfinished}
    table |= {"shipped": {"in_progress"}, "declined": {"open", "under_review"}}
    agent = await caller("agent")
    for status, reachable in table.items():
        for to in sorted(everything):
            made = await request_of(agent)
            path = f"{REQUESTS}/{made['id']}/transitions"
            if status != "open":
                assert (await agent.client.post(path, json={"to": status})).status_code == 200
            moved = await agent.client.post(path, json={"to": to})
            if to in reachable:
                assert (moved.status_code, moved.json()["status"]) == (200, to)
            else:
                assert (moved.status_code, moved.json()["code"]) == (409, "invalid_transition")
                assert set(moved.json()["allowed"]) == reachable


async def test_authors_change_their_words_until_others_voted(caller, request_of):
    author, other, agent = await caller(), await caller(), await caller("agent")
    made = await request_of(author)
    path = f"{REQUESTS}/{made['id']}"
    assert (await author.client.patch(path, json={"title": "Better"})).json()["title"] == "Better"
    assert (await other.client.patch(path, json={"title": "Mine"})).status_code == 403
    assert (await author.client.patch(path, json={"locked": True})).status_code == 403
    stale = await agent.client.patch(path, json={"title": "Older"}, headers={"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["current_version"]) == (412, 2)


async def test_a_board_calls_a_status_what_it_likes(caller, board, request_of):
    made = await board(labels={"under_review": "Being considered"})
    agent = await caller("agent")
    asked = await request_of(agent, board_id=made["id"])
    moved = await agent.client.post(f"{REQUESTS}/{asked['id']}/transitions", json={"to": "under_review"})
    assert (asked["label"], moved.json()["label"]) == ("Open", "Being considered")


async def test_a_hidden_target_is_not_told_to_who_sees_what_was_merged_into_it(caller, board, request_of):
    agent, customer, on = await caller("agent"), await caller(), await board()
    mine = await request_of(customer, board_id=on["id"])
    target = await request_of(agent, board_id=on["id"], title="A secret plan")
    await agent.client.post(f"/v1/features/requests/{mine['id']}/merge", json={"into": target["id"]})
    await agent.client.patch(f"/v1/features/requests/{target['id']}", json={"hidden": True})
    seen = await customer.client.get(f"/v1/features/requests/{mine['id']}")
    assert (seen.json()["merged_into"], "secret" in seen.text) == (None, False)
    assert (await customer.client.put(f"/v1/features/requests/{mine['id']}/vote")).status_code == 404


async def test_what_moves_takes_its_group_along_and_no_name_twice(caller, board, request_of):
    agent, here, there = await caller("agent"), await board(), await board()
    root, merged = [await request_of(agent, board_id=here["id"], external_id=name) for name in ("a", "b")]
    await agent.client.post(f"/v1/features/requests/{merged['id']}/merge", json={"into": root["id"]})
    taken = await request_of(agent, board_id=there["id"], external_id="b")
    path = f"/v1/features/requests/{root['id']}"
    refused = await agent.client.patch(path, json={"board_id": there["id"]})
    assert (refused.status_code, refused.json()["code"]) == (409, "request_exists")
    other = await board()
    assert (await agent.client.patch(path, json={"board_id": other["id"]})).status_code == 200
    moved = await agent.client.get(f"/v1/features/requests/{merged['id']}")
    assert (moved.json()["board_id"], taken["board_id"]) == (other["id"], there["id"])


async def test_nothing_changes_on_an_archived_board(caller, board, request_of):
    agent, lead, on = await caller("agent"), await caller("lead"), await board()
    made = await request_of(agent, board_id=on["id"])
    archived = await lead.client.patch(f"/v1/features/boards/{on['id']}", json={"archived": True})
    assert archived.status_code == 200
    customer, path = await caller(), f"/v1/features/requests/{made['id']}"
    new = {"board_id": on["id"], "title": "x", "on_duplicate": "create"}
    refused = await agent.client.post("/v1/features/requests", json=new)
    assert refused.json()["code"] == "board_archived"
    for who, method, below, body in (
        (customer, "PUT", "/vote", None),
        (agent, "DELETE", "/vote", None),
        (agent, "POST", "/comments", {"body": "x"}),
        (agent, "POST", "/split", {"title": "x"}),
        (agent, "POST", "/transitions", {"to": "planned"}),
        (agent, "PATCH", "", {"title": "x"}),
    ):
        refused = await who.client.request(method, path + below, json=body)
        assert (refused.status_code, refused.json()["code"]) == (409, "board_archived"), below
    assert (await customer.client.get(path)).status_code == 200
    assert (await agent.client.delete(f"{path}/subscription")).status_code == 204, "who leaves may"

"""Comments: threads, the official answer, notes, moderation."""

from __future__ import annotations

from uuid import uuid4

import pytest

REQUESTS = "/v1/features/requests"
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
async def agent(caller):
    return await caller("agent")


async def say(who, made, body="We want this as well.", status=201, **given):
    response = await who.client.post(f"{REQUESTS}/{made['id']}/comments", json={"body": body} | given)
    assert response.status_code == status, response.text
    return response.json()


async def change(who, made, comment, status=200, **given):
    path = f"{REQUESTS}/{made['id']}/comments/{comment['id']}"
    response = await who.client.patch(path, json=given)
    assert response.status_code == status, response.text
    return response.json()


async def read(who, made, **query):
    response = await who.client.get(f"{REQUESTS}/{made['id']}/comments", params=query)
    assert response.status_code == 200, response.text
    return response.json()["items"]


async def bodies(who, made):
    return [each["body"] for each in await read(who, made)]


async def test_threads_have_one_level_and_customers_learn_only_the_staffs_names(caller, agent, request_of):
    one, other, made = await caller(), await caller(), await request_of(agent)
    first = await say(one, made, "Please, **please**.")
    second = await say(agent, made, "Which format?", parent_id=first["id"])
    third = await say(other, made, "Any.", parent_id=second["id"])
    assert third["parent_id"] == first["id"], "an answer to an answer stands below the same comment"
    assert "<strong>please</strong>" in first["body_html"]
    seen = await read(one, made)
    assert [each["mine"] for each in seen] == [True, False, False]
    assert [each["author_id"] for each in seen] == [None, str(agent.person_id), None]
    assert seen[0]["author_name"] is None
    assert seen[1]["author_name"] is not None
    assert (await read(agent, made))[2]["author_id"] == str(other.person_id)
    refused = await say(one, made, parent_id=NOBODY, status=422)
    assert refused["code"] == "unknown_comment"


async def test_notes_are_the_staffs(caller, agent, request_of):
    customer, made = await caller(), await request_of(agent)
    note = await say(agent, made, "Costs two weeks.", kind="note")
    below = await say(agent, made, "Three.", parent_id=note["id"])
    assert below["kind"] == "note", "what answers a note is one"
    assert await bodies(customer, made) == []
    assert (await customer.client.get(f"{REQUESTS}/{made['id']}")).json()["comments"] == 0
    assert len(await read(agent, made, kind="note")) == 2
    for given in ({"kind": "note"}, {"official": True}):
        assert (await say(customer, made, status=403, **given))["code"] == "permission_denied"
    assert (await say(customer, made, parent_id=note["id"], status=422))["code"] == "unknown_comment"


async def test_there_is_one_official_answer(caller, agent, request_of):
    customer, made = await caller(), await request_of(agent)
    first = await say(agent, made, "Not this year.", official=True)
    moved = {"to": "planned", "answer": "We changed our minds."}
    done = await agent.client.post(f"{REQUESTS}/{made['id']}/transitions", json=moved)
    seen = {each["body"]: each for each in await read(customer, made)}
    assert [each["official"] for each in seen.values()] == [False, True]
    assert done.json()["answer_id"] == seen["We changed our minds."]["id"]
    await change(agent, made, first, official=True)
    assert (await agent.client.get(f"{REQUESTS}/{made['id']}")).json()["answer_id"] == first["id"]
    hidden = await change(agent, made, first, hidden=True)
    assert hidden["official"] is False
    assert (await agent.client.get(f"{REQUESTS}/{made['id']}")).json()["answer_id"] is None
    assert "Not this year." not in await bodies(customer, made)


async def test_a_moderated_board_shows_a_customers_comment_when_it_is_approved(
    caller, agent, board, request_of
):
    one, other, made = await caller(), await caller(), await board(moderated=True)
    made = await request_of(agent, board_id=made["id"])
    waiting = await say(one, made, "Yes!")
    assert not waiting["approved"]
    assert (await bodies(one, made), await bodies(other, made)) == (["Yes!"], [])
    queue = await agent.client.get("/v1/features/comments", params={"approved": False})
    assert waiting["id"] in [each["id"] for each in queue.json()["items"]]
    await change(one, made, waiting, status=403, approved=True)
    await change(agent, made, waiting, approved=True)
    assert await bodies(other, made) == ["Yes!"]
    await change(one, made, waiting, body="No!")
    assert await bodies(other, made) == [], "what was rewritten waits again"


async def test_what_is_hidden_takes_its_answers_along(caller, agent, request_of):
    one, other, made = await caller(), await caller(), await request_of(agent)
    rude = await say(one, made, "This is rubbish.")
    await say(agent, made, "Calm down.", parent_id=rude["id"])
    await change(agent, made, rude, hidden=True)
    assert await bodies(other, made) == []
    assert (await other.client.get(f"{REQUESTS}/{made['id']}")).json()["comments"] == 0
    assert await bodies(one, made) == ["This is rubbish."], "its author reads it still"


async def test_authors_rewrite_and_whoever_may_removes(caller, agent, request_of):
    one, other, made = await caller(), await caller(), await request_of(agent)
    mine = await say(one, made, "Frist!")
    assert (await change(other, made, mine, status=403, body="x"))["code"] == "permission_denied"
    assert (await change(agent, made, mine, status=403, body="x"))["code"] == "permission_denied"
    changed = await change(one, made, mine, body="First!")
    assert (changed["body"], changed["version"]) == ("First!", 2)
    path = f"{REQUESTS}/{made['id']}/comments/{mine['id']}"
    stale = await one.client.delete(path, headers={"If-Match": '"1"'})
    assert stale.status_code == 412
    assert (await other.client.delete(path)).status_code == 403
    for _ in range(2):
        assert (await one.client.delete(path)).status_code == 204
    (place,) = await read(other, made)
    assert (place["body"], place["body_html"], place["erased"]) == ("", "", True)
    assert (await change(one, made, mine, status=409, body="x"))["code"] == "comment_erased"
    assert (await say(other, made, parent_id=mine["id"], status=422))["code"] == "unknown_comment"


async def test_comments_go_with_a_merge_and_come_back(caller, agent, board, request_of):
    customer, on = await caller(), await board()
    source, target = [await request_of(agent, board_id=on["id"]) for _ in range(2)]
    await say(customer, source, "on the source")
    await agent.client.post(f"{REQUESTS}/{source['id']}/merge", json={"into": target["id"]})
    landed = await say(customer, source, "after the merge")
    assert landed["request_id"] == target["id"]
    assert await bodies(customer, target) == ["on the source", "after the merge"]
    await agent.client.post(f"{REQUESTS}/{source['id']}/unmerge")
    assert await bodies(customer, source) == ["on the source"]


async def test_a_split_takes_comments_along_with_their_answers_and_no_official_one(caller, agent, request_of):
    customer, made = await caller(), await request_of(agent)
    question = await say(customer, made, "And for tablets?")
    await say(agent, made, "That is another thing.", parent_id=question["id"])
    official = await say(agent, made, "Planned for phones.", official=True)
    parts = {"title": "Tablets", "comment_ids": [question["id"], official["id"]]}
    half = (await agent.client.post(f"{REQUESTS}/{made['id']}/split", json=parts)).json()
    assert await bodies(customer, made) == []
    moved = await read(customer, half)
    assert [each["body"] for each in moved] == [
        "And for tablets?",
        "That is another thing.",
        "Planned for phones.",
    ]
    assert ([each["official"] for each in moved], half["answer_id"]) == ([False] * 3, None)
    assert (await agent.client.get(f"{REQUESTS}/{made['id']}")).json()["answer_id"] is None
    unknown = await agent.client.post(f"{REQUESTS}/{made['id']}/split", json=parts)
    assert (unknown.status_code, unknown.json()["code"]) == (422, "unknown_comment")


async def test_what_cannot_be_said(caller, agent, request_of):
    customer, made = await caller(), await request_of(agent)
    for body in ("", " \n ", "\u200b", "a\0b", "x" * 20_001):
        response = await customer.client.post(f"{REQUESTS}/{made['id']}/comments", json={"body": body})
        assert response.status_code in (400, 422), body[:9]
    card = await say(customer, made, "Mine is 4111 1111 1111 1111.")
    assert "1111 1111" not in card["body"] + card["body_html"]
    script = await say(customer, made, f"<script>alert(1)</script> [x](javascript:alert) {uuid4()}")
    assert "<script" not in script["body_html"]
    assert "javascript:" not in script["body_html"].replace("[x](javascript:alert)", "")
    await agent.client.patch(f"{REQUESTS}/{made['id']}", json={"locked": True})
    assert (await say(customer, made, status=409))["code"] == "request_locked"
    await say(agent, made, "Closed for now.")

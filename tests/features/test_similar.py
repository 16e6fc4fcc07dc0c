"""Duplicates before they are born; with the real model."""

from __future__ import annotations

import pytest

from app.matching import DUPLICATE_FROM

REQUESTS = "/v1/features/requests"


@pytest.fixture
async def agent(caller):
    return await caller("agent")


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
    assert (await similar(customer, f"Download {word} to Excel", board_id=on["id"]))[0]["voted"] is True
    for nothing in ("", "   ", "?!"):
        assert await similar(customer, nothing, board_id=on["id"]) == []


async def test_nobody_is_shown_what_they_may_not_see(caller, agent, board, request_of, word):
    customer, staffs = await caller(), await board(visibility="staff")
    secret = await request_of(agent, board_id=staffs["id"], title=f"Secret {word}")
    on = await board()
    hidden = await request_of(agent, board_id=on["id"], title=f"Hidden {word}")
    await agent.client.patch(f"{REQUESTS}/{hidden['id']}", json={"hidden": True})
    merged = await request_of(agent, board_id=on["id"], title=f"Merged {word}")
    target = await request_of(agent, board_id=on["id"], title=f"Target {word}")
    await agent.client.post(f"{REQUESTS}/{merged['id']}/merge", json={"into": target["id"]})
    asked, ours = (
        f"{word} hidden secret merged target",
        {each["id"] for each in (secret, hidden, merged, target)},
    )
    for_likeness = await similar(customer, asked, limit=20)
    for_words = (await customer.client.get(f"{REQUESTS}/search", params={"q": word})).json()["items"]
    for found in (for_likeness, for_words):  # what other tests made may be alike
        assert ours & {each["request"]["id"] for each in found} == {target["id"]}
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

"""A desk's routes over the room: pages, preconditions, bad bodies, other people's cases."""

from __future__ import annotations

from uuid import uuid4

import pytest

CASES = "/v1/test-cases"


@pytest.fixture
async def case(of, people) -> str:
    response = await of(people.customer).post(f"{CASES}/")
    assert response.status_code == 201, response.text
    return f"{CASES}/{response.json()['id']}/messages"


async def test_a_conversation_from_question_to_answer(of, people, case):
    asked = await of(people.customer).post(case, json={"body": "Where is **it**?"})
    assert asked.status_code == 201, asked.text
    await of(people.agent).post(case, json={"body": "hm", "kind": "note"})
    await of(people.agent).post(case, json={"body": "Here.", "in_reply_to": asked.json()["id"]})
    seen = (await of(people.customer).get(case)).json()["items"]
    assert [(each["number"], each["author"]["name"]) for each in seen] == [
        (1, "The customer"),
        (3, "The agent"),
    ]
    assert seen[0]["html"] == "<p>Where is <strong>it</strong>?</p>"
    assert seen[1]["author"]["key_id"] is None
    assert len((await of(people.agent).get(case)).json()["items"]) == 3


async def test_pages_hold_everything_once_in_either_direction(of, people, case):
    for index in range(7):
        await of(people.agent).post(
            case, json={"body": str(index), "kind": "note" if index % 3 == 0 else "public"}
        )

    async def numbers(client, **query):
        found, cursor = [], None
        while True:
            page = (await client.get(case, params=query | ({"cursor": cursor} if cursor else {}))).json()
            found += [each["number"] for each in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                return found

    assert await numbers(of(people.agent), limit=2) == [1, 2, 3, 4, 5, 6, 7]
    assert await numbers(of(people.agent), limit=3, sort="-number") == [7, 6, 5, 4, 3, 2, 1]
    assert await numbers(of(people.customer), limit=2) == [2, 3, 5, 6]
    page = (await of(people.agent).get(case, params={"limit": 1})).json()
    other = (await of(people.customer).post(f"{CASES}/")).json()["id"]
    response = await of(people.agent).get(f"{CASES}/{other}/messages", params={"cursor": page["next_cursor"]})
    assert (response.status_code, response.json()["code"]) == (400, "validation_error"), (
        "another list's cursor"
    )


async def test_a_stale_edit_is_412_with_the_current_version(of, people, case):
    made = await of(people.customer).post(case, json={"body": "one"})
    path = f"{case}/{made.json()['id']}"
    assert made.json()["version"] == 1
    first = await of(people.customer).patch(path, json={"body": "two"}, headers={"If-Match": '"1"'})
    assert (first.status_code, first.headers["etag"]) == (200, '"2"')
    second = await of(people.customer).patch(path, json={"body": "three"}, headers={"If-Match": '"1"'})
    assert (second.status_code, second.json()["code"]) == (412, "version_mismatch")
    assert second.json()["current_version"] == 2


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({}, (400, "empty_message")),
        ({"body": " "}, (400, "empty_message")),
        ({"body": 7}, (400, "validation_error")),
        ({"body": "x", "kind": "shout"}, (400, "validation_error")),
        ({"body": "x", "surprise": 1}, (400, "validation_error")),
        ({"body": "x", "attachments": [str(uuid4())]}, (422, "unknown_attachment")),
        ({"body": "x", "attachments": [str(uuid4())] * 21}, (400, "validation_error")),
        ({"body": "x", "in_reply_to": str(uuid4())}, (422, "unknown_reply")),
        ({"body": "x", "kind": "note"}, (403, "permission_denied")),
        ({"body": "x" * 65_537}, (400, "validation_error")),
        ({"body": "\u00fc" * 65_536}, (413, "message_too_large")),
    ],
)
async def test_bodies_that_do_not_fit_are_refused(of, people, case, body, answer):
    response = await of(people.customer).post(case, json=body)
    assert (response.status_code, response.json()["code"]) == answer


async def test_another_customers_case_is_not_found(of, people, case):
    for method in ("GET", "POST"):
        response = await of(people.stranger).request(
            method, case, json={"body": "x"} if method == "POST" else None
        )
        assert (response.status_code, response.json()["code"]) == (404, "conversation_not_found")


async def test_a_desk_lists_the_cases_in_which_something_is_said(of, people, case, unique):
    mark = f"otter{unique.replace('-', '')}"
    await of(people.customer).post(case, json={"body": f"an {mark}"})
    await of(people.customer).post(case, json={"body": f"one more {mark}"})
    found = (await of(people.agent).get(f"{CASES}/", params={"q": mark})).json()
    assert found == [case.split("/")[3]]
    assert (await of(people.stranger).get(f"{CASES}/", params={"q": mark})).json() == []

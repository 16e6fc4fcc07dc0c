"""Public boards: read by anybody, kept by caches, and nobody's data in them."""

from __future__ import annotations

from uuid import uuid4

import pytest

REQUESTS, PUBLIC = "/v1/features/requests", "/v1/features/public"


@pytest.fixture
async def told(caller, board, request_of):
    """A public board with a request of a customer, told in every way there is."""
    agent, customer = await caller("agent"), await caller()
    on = await board(visibility="public", description="Ideas", labels={"planned": "Soon"})
    made = await request_of(customer, board_id=on["id"], title="Dark mode", body="At *night*.")
    path = f"{REQUESTS}/{made['id']}"
    mine = (await customer.client.post(f"{path}/comments", json={"body": "Please."})).json()
    await agent.client.post(f"{path}/comments", json={"body": "Secret note.", "kind": "note"})
    await agent.client.post(f"{path}/transitions", json={"to": "planned", "answer": "In spring."})
    shipped = await request_of(agent, board_id=on["id"], title="Keyboard")
    draft = {"board_id": on["id"], "title": "Autumn", "label": "4.2", "request_ids": [shipped["id"]]}
    release = (await agent.client.post("/v1/features/releases", json=draft)).json()
    await agent.client.post(f"/v1/features/releases/{release['id']}/ship")
    await agent.client.post("/v1/features/releases", json=draft | {"title": "Draft", "request_ids": []})
    hidden = await request_of(agent, board_id=on["id"], title="Hidden thing")
    await agent.client.patch(f"{REQUESTS}/{hidden['id']}", json={"hidden": True})
    return {
        "board": on,
        "request": made,
        "comment": mine,
        "hidden": hidden,
        "customer": customer,
        "agent": agent,
    }


async def test_everything_public_is_read_without_a_key_and_names_nobody(client, told):
    slug, number = told["board"]["slug"], told["request"]["number"]
    texts = []
    for path in (
        f"boards/{slug}",
        f"boards/{slug}/requests",
        f"boards/{slug}/roadmap",
        f"boards/{slug}/releases",
        f"requests/{number}",
        f"requests/{number}/comments",
    ):
        response = await client.get(f"{PUBLIC}/{path}")
        assert response.status_code == 200, response.text
        texts.append(response.text)
    whole = "\n".join(texts)
    for shown in ("Dark mode", "<em>night</em>", "Please.", "In spring.", "Soon", "Autumn", "Keyboard"):
        assert shown in whole, shown
    people = [str(told[each].person_id) for each in ("customer", "agent")]
    for unseen in ("Secret note", "Hidden thing", '"Draft"', "author", "account", "external", *people):
        assert unseen not in whole, unseen


async def test_caches_keep_it_and_ask_whether_it_changed(client, told):
    path = f"{PUBLIC}/requests/{told['request']['number']}"
    first = await client.get(path)
    assert first.headers["cache-control"] == "public, max-age=60, stale-while-revalidate=300"
    assert "set-cookie" not in first.headers
    again = await client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    await told["agent"].client.put(f"{REQUESTS}/{told['request']['id']}/vote")
    changed = await client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert changed.status_code == 200
    missing = await client.get(f"{PUBLIC}/requests/FEA-999999999")
    assert (missing.status_code, "public" in missing.headers.get("cache-control", "")) == (404, False)


async def test_what_is_not_public_does_not_exist(client, board, request_of, caller, told):
    agent = await caller("agent")
    for visibility in ("customers", "accounts", "staff"):
        on = await board(visibility=visibility)
        made = await request_of(agent, board_id=on["id"])
        for path in (f"boards/{on['slug']}", f"boards/{on['slug']}/requests", f"requests/{made['number']}"):
            assert (await client.get(f"{PUBLIC}/{path}")).status_code == 404, (visibility, path)
    for number in (told["hidden"]["number"], "FEA-x", "9" * 40, "TEC-1"):
        assert (await client.get(f"{PUBLIC}/requests/{number}")).status_code == 404
    assert (await client.get(f"{PUBLIC}/boards/{uuid4()}")).status_code == 404


async def test_a_merged_request_is_told_as_what_it_was_merged_into(client, request_of, told):
    agent = told["agent"]
    source = await request_of(agent, board_id=told["board"]["id"], title="Night colours")
    await agent.client.post(f"{REQUESTS}/{source['id']}/merge", json={"into": told["request"]["id"]})
    found = (await client.get(f"{PUBLIC}/requests/{source['number']}")).json()
    assert found["request"]["number"] == told["request"]["number"]
    listed = (await client.get(f"{PUBLIC}/boards/{told['board']['slug']}/requests")).json()["items"]
    assert source["number"] not in [each["number"] for each in listed]


async def test_pages_and_filters_work_without_a_key(client, told):
    path = f"{PUBLIC}/boards/{told['board']['slug']}/requests"
    first = (await client.get(path, params={"limit": 1, "sort": "created_at"})).json()
    second = (
        await client.get(path, params={"limit": 1, "sort": "created_at", "cursor": first["next_cursor"]})
    ).json()
    assert [each["title"] for each in (*first["items"], *second["items"])] == ["Dark mode", "Keyboard"]
    planned = (await client.get(path, params={"status": "planned"})).json()["items"]
    assert [(each["title"], each["label"]) for each in planned] == [("Dark mode", "Soon")]
    boards = (await client.get(f"{PUBLIC}/boards", params={"limit": 100})).json()["items"]
    assert told["board"]["slug"] in [each["slug"] for each in boards]

"""The routes: who may, what is refused, secrets shown once, the log and sending again."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text
from standardwebhooks import Webhook

from app.main import create_app
from app.webhooks import purge_deliveries
from app.webhooks.client import WebhookClient
from app.webhooks.service.fanout import fan_out
from tests.rag.library import until
from tests.webhooks.receiver import Message, receiving

URL = "https://hooks.example.com/tridesk?token=hush"


@pytest.fixture
async def admin(as_role):
    async with as_role("admin") as client:
        yield client


@pytest.fixture
async def made(admin, desk) -> dict:
    """An endpoint, made by the route, as it was answered."""
    response = await admin.post(
        "/v1/webhooks", json={"url": URL, "events": [f"{desk.kind}.*"], "description": desk.kind}
    )
    assert response.status_code == 201, response.text
    return response.json()


async def point_to(desk, made: dict, url: str) -> None:
    """Let an endpoint of the routes lead to a receiver of the test."""
    async with desk.database.session() as session:
        values = {"url": url, "id": UUID(made["id"])}
        await session.execute(text("update webhook_endpoint set url = :url where id = :id"), values)


async def test_the_secret_is_shown_once_and_can_be_used(admin, made):
    secret = made["secret"]
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) >= 24
    Webhook(secret)
    path = f"/v1/webhooks/{made['id']}"
    for response in (
        await admin.get(path),
        await admin.get("/v1/webhooks"),
        await admin.patch(path, json={"description": made["description"] + " "}),
        await admin.get("/v1/events", params={"subject": f"webhook:{made['id']}"}),
        await admin.get("/v1/audit"),
    ):
        assert response.status_code == 200
        assert "whsec_" not in response.text
        assert secret not in response.text


async def test_a_new_endpoint_says_where_it_is_and_what_it_is(admin, made):
    response = await admin.get(f"/v1/webhooks/{made['id']}")
    shown = response.json()
    assert shown == {name: value for name, value in made.items() if name != "secret"}
    assert (shown["url"], shown["enabled"], shown["version"]) == (URL, True, 1)
    assert response.headers["etag"] == '"1"'
    listed = await admin.get("/v1/webhooks", params={"limit": 1, "total": True})
    assert listed.json()["items"] == [shown]


async def test_events_tell_of_every_change_and_of_the_url_only_where_it_leads(admin, made, desk):
    path = f"/v1/webhooks/{made['id']}"
    await admin.patch(path, json={"url": "https://other.example.com/hush", "events": ["*"]})
    await admin.patch(path, json={"enabled": False})
    await admin.patch(path, json={"enabled": False})  # again: nothing changes
    await admin.patch(path, json={"enabled": True})
    await admin.post(f"{path}/rotate-secret")
    assert (await admin.get(path)).json()["version"] == 5
    assert (await admin.delete(path)).status_code == 204
    response = await admin.get("/v1/events", params={"subject": f"webhook:{made['id']}"})
    happened = response.json()["items"]
    assert [each["type"].removeprefix("webhook.") for each in happened] == [
        "created",
        "updated",
        "disabled",
        "enabled",
        "secret_rotated",
        "deleted",
    ]
    assert "hush" not in response.text
    assert happened[1]["before"]["url"] == "https://hooks.example.com"
    assert happened[1]["after"] == {"url": "https://other.example.com", "events": ["*"]}
    assert happened[2]["after"] == {"enabled": False, "disabled_reason": "admin"}
    audited = await admin.get("/v1/audit", params={"subject": f"webhook:{made['id']}"})
    assert len(audited.json()["items"]) == 6


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"url": "https://127.0.0.1/"}, "url"),
        ({"url": "https://[::ffff:10.0.0.1]/"}, "url"),
        ({"url": "https://user:pass@hooks.example.com/"}, "url"),
        ({"url": "https://hooks.example.com/#x"}, "url"),
        ({"url": "ftp://hooks.example.com/"}, "url"),
        ({"url": "https://hooks.example.com/" + "x" * 2048}, "url"),
        ({"url": "https://hooks.example.com/\u0000"}, "url"),
        ({"url": 7}, "url"),
        ({"events": []}, "events"),
        ({"events": ["ticket"]}, "events[0]"),
        ({"events": ["*", "Ticket.*"]}, "events[1]"),
        ({"events": ["ticket.*.x"]}, "events[0]"),
        ({"events": ["a.b"] * 51}, "events"),
        ({"description": "x" * 501}, "description"),
        ({"description": "\u0007"}, "description"),
        ({"enabled": None}, "enabled"),
        ({"secret": "whsec_mine"}, "secret"),
    ],
)
async def test_what_does_not_fit_is_refused_with_its_field(admin, made, body, field):
    whole = {"url": URL, "events": ["*"]} | body
    for response in (
        await admin.post("/v1/webhooks", json=whole),
        await admin.patch(f"/v1/webhooks/{made['id']}", json=body),
    ):
        assert response.status_code == 400
        assert response.json()["errors"][0]["field"] == field
        assert "pass" not in response.text.replace("password", "")


async def test_only_admins_see_that_there_are_webhooks(as_role, made):
    path = f"/v1/webhooks/{made['id']}"
    some = f"/deliveries/{uuid4()}/redeliver"
    for role in ("customer", "agent", "lead"):
        async with as_role(role) as client:
            assert (await client.get("/v1/webhooks")).status_code == 403
            assert (await client.post("/v1/webhooks", json={})).status_code == 403
            for response in (
                await client.get(path),
                await client.patch(path, json={"enabled": False}),
                await client.delete(path),
                await client.get(f"{path}/deliveries"),
                await client.post(path + some),
                await client.post(f"{path}/rotate-secret"),
                await client.post(f"{path}/test"),
            ):
                # to a customer the house says of every id that there is no such thing
                assert response.status_code in ((403, 404) if role == "customer" else (403,))
                assert "example.com" not in response.text


async def test_without_a_credential_nothing_is_shown(client, made):
    assert (await client.get(f"/v1/webhooks/{made['id']}")).status_code == 401


async def test_what_does_not_exist_is_404(admin, made, desk):
    nobody, other = f"/v1/webhooks/{uuid4()}", f"/v1/webhooks/{made['id']}/deliveries/{uuid4()}/redeliver"
    for response in (
        await admin.get(nobody),
        await admin.patch(nobody, json={"enabled": False}),
        await admin.delete(nobody),
        await admin.get(f"{nobody}/deliveries"),
        await admin.post(f"{nobody}/rotate-secret"),
        await admin.post(f"{nobody}/test"),
        await admin.post(f"{nobody}/deliveries/{uuid4()}/redeliver"),
    ):
        assert (response.status_code, response.json()["code"]) == (404, "webhook_not_found")
    response = await admin.post(other)
    assert (response.status_code, response.json()["code"]) == (404, "delivery_not_found")


async def test_a_delivery_of_another_endpoint_is_not_found(admin, made, desk):
    other = await desk.endpoint("http://127.0.0.1:9/")
    sent = (await admin.post(f"/v1/webhooks/{made['id']}/test")).json()
    response = await admin.post(f"/v1/webhooks/{other.id}/deliveries/{sent['id']}/redeliver")
    assert response.json()["code"] == "delivery_not_found"


async def test_of_two_editors_with_the_same_version_one_is_told(admin, made):
    path = f"/v1/webhooks/{made['id']}"
    answers = await asyncio.gather(
        *(admin.patch(path, json={"events": [f"{mark}.*"]}, headers={"If-Match": '"1"'}) for mark in "xy")
    )
    assert sorted(each.status_code for each in answers) == [200, 412]
    assert (await admin.delete(path, headers={"If-Match": '"1"'})).status_code == 412
    rotated = await admin.post(f"{path}/rotate-secret", headers={"If-Match": '"1"'})
    assert rotated.status_code == 412


async def test_a_repeated_rotation_rotates_once_and_does_not_show_the_secret_again(admin, made):
    path, key = f"/v1/webhooks/{made['id']}/rotate-secret", {"Idempotency-Key": str(uuid4())}
    first = await admin.post(path, headers=key)
    again = await admin.post(path, headers=key)
    assert first.json()["secret"] != made["secret"]
    assert first.headers["cache-control"] == "no-store"
    assert again.status_code == 409
    assert "whsec_" not in again.text
    assert (await admin.get(f"/v1/webhooks/{made['id']}")).json()["version"] == 2


async def test_the_log_shows_what_came_back_and_can_be_filtered(admin, made, desk):
    async def behave(message: Message) -> tuple[int, dict[str, str], bytes]:
        return (500, {}, b"not now") if message.n == 2 else (200, {}, b"thanks")

    path = f"/v1/webhooks/{made['id']}/deliveries"
    async with receiving(behave) as receiver:
        await point_to(desk, made, receiver.url)
        good = await desk.happen(1)
        bad = await desk.happen(2, 3, kind="lost")
        async with desk.dispatching(retries=(timedelta(hours=1),)):
            await receiver.until(lambda: len(receiver.seen) == 2)
        found = (await admin.get(path)).json()["items"]
    by_status = {each["status"]: each for each in found}
    assert {each["subject"]["id"] for each in found} == {str(good), str(bad)}
    done, failing, pending = (by_status[each] for each in ("delivered", "failing", "pending"))
    assert (done["response_status"], done["response_body"], done["error"]) == (200, "thanks", None)
    assert (failing["response_status"], failing["response_body"]) == (500, "not now")
    assert failing["error"] == "http_status"
    assert failing["next_attempt_at"] is not None
    assert (pending["attempts"], pending["next_attempt_at"]) == (0, None)
    assert done["delivered_at"] is not None
    for query, count in [
        ({"status": "delivered"}, 1),
        ({"status": ["failing", "pending"]}, 2),
        ({"subject": f"{desk.kind}:{bad}"}, 2),
        ({"type": f"{desk.kind}.made"}, 1),
        ({"type": f"{desk.kind}.*"}, 3),
        ({"type": "other.*"}, 0),
        ({"type": "*", "status": "delivered"}, 1),
        ({"created_after": "2100-01-01T00:00:00Z"}, 0),
    ]:
        answer = await admin.get(path, params=query | {"total": True})
        assert (len(answer.json()["items"]), answer.json()["total"]) == (count, count), query
    for name, value in {"status": "lost", "subject": "a:b", "type": "A", "event": "x"}.items():
        query = {name: value}
        assert (await admin.get(path, params=query)).status_code == 400, query


async def test_the_log_comes_in_pages_that_hold_everything_once(admin, made, desk):
    await point_to(desk, made, "http://127.0.0.1:9/")
    await desk.happen(*range(7))
    await fan_out(desk.database)
    path, seen, cursor = f"/v1/webhooks/{made['id']}/deliveries", [], None
    while True:
        query = {"limit": 3} | ({"cursor": cursor} if cursor else {})
        answer = (await admin.get(path, params=query)).json()
        seen += [each["id"] for each in answer["items"]]
        cursor = answer["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 7


async def test_a_delivered_message_is_sent_again_as_the_same_and_holds_up_nobody(admin, made, desk):
    async with receiving() as receiver:
        await point_to(desk, made, receiver.url)
        async with desk.dispatching():
            subject = await desk.happen(1, 2)
            await receiver.until(lambda: len(receiver.taken) == 2)
            first = receiver.taken[0]
            path = f"/v1/webhooks/{made['id']}/deliveries/{first.id}/redeliver"
            await until(lambda: all_delivered(desk, made))
            receiver.behave = failing
            assert (await admin.post(path)).status_code == 202
            await receiver.until(lambda: len(receiver.seen) == 3)
            await until(lambda: emptied(desk, made))
            receiver.behave = thanking
            await desk.happen(3, subject=subject)
            await receiver.until(lambda: len(receiver.taken) == 3)
            answers = await asyncio.gather(*(admin.post(path) for _ in range(5)))
            assert {each.status_code for each in answers} == {202}
            await receiver.until(lambda: len(receiver.taken) >= 4)
            await until(lambda: emptied(desk, made))
    again = receiver.seen[2]
    assert (again.id, again.event) == (first.id, first.event)
    Webhook(made["secret"]).verify(again.body, again.headers)
    assert receiver.taken[3].id == first.id
    shown = await desk.log(UUID(made["id"]))
    assert [each.status for each in shown] == ["delivered"] * 3
    assert (await desk.read(UUID(made["id"]))).failing_since is None


async def failing(_: Message) -> int:
    return 500


async def thanking(_: Message) -> int:
    return 200


async def all_delivered(desk, made: dict) -> bool:
    return {each.status for each in await desk.log(UUID(made["id"]))} == {"delivered"}


async def emptied(desk, made: dict) -> bool:
    return await desk.waiting(UUID(made["id"])) == 0


async def test_a_failing_message_is_tried_at_once_when_asked(admin, made, desk):
    async with receiving(failing) as receiver:
        await point_to(desk, made, receiver.url)
        async with desk.dispatching(retries=(timedelta(hours=1),)):
            await desk.happen(1, 2)
            await until(lambda: tried(desk, made))
            receiver.behave = thanking
            first, second = await desk.log(UUID(made["id"]))
            base = f"/v1/webhooks/{made['id']}/deliveries"
            behind = await admin.post(f"{base}/{second.id}/redeliver")
            assert (behind.status_code, behind.json()["next_attempt_at"]) == (202, None)
            assert (await admin.post(f"{base}/{first.id}/redeliver")).status_code == 202
            await receiver.until(lambda: len(receiver.taken) == 2)
    assert [message.n for message in receiver.seen] == [1, 1, 2]


async def tried(desk, made: dict) -> bool:
    return any(each.attempts for each in await desk.log(UUID(made["id"])))


async def test_a_test_reaches_its_endpoint_alone_whatever_the_filters(admin, made, desk):
    async with receiving() as receiver:
        await point_to(desk, made, receiver.url)
        await desk.endpoint(receiver.url + "-everything", ["*", "webhook.test"])
        async with desk.dispatching():
            answer = await admin.post(f"/v1/webhooks/{made['id']}/test")
            assert (answer.status_code, answer.json()["type"]) == (202, "webhook.test")
            await receiver.until(lambda: receiver.taken)
            await desk.happen(1)
            await receiver.until(lambda: any(each.event["type"] != "webhook.test" for each in receiver.taken))
    tests = [each for each in receiver.seen if each.event["type"] == "webhook.test"]
    assert [each.target for each in tests] == ["/hook"]
    assert tests[0].id == answer.json()["id"]
    Webhook(made["secret"]).verify(tests[0].body, tests[0].headers)


async def test_a_test_that_fails_is_tried_once_and_does_not_make_the_endpoint_fail(admin, made, desk):
    async with receiving(failing) as receiver:
        await point_to(desk, made, receiver.url)
        async with desk.dispatching(retries=()):
            await admin.post(f"/v1/webhooks/{made['id']}/test")
            await until(lambda: emptied(desk, made))
    (delivery,) = await desk.log(UUID(made["id"]))
    assert (delivery.status, delivery.attempts, delivery.error) == ("failed", 1, "http_status")
    stored = await desk.read(UUID(made["id"]))
    assert (stored.enabled, stored.failing_since) == (True, None)


async def test_nothing_is_sent_again_or_tried_while_disabled(admin, made, desk):
    path = f"/v1/webhooks/{made['id']}"
    sent = (await admin.post(f"{path}/test")).json()
    await admin.patch(path, json={"enabled": False})
    for response in (
        await admin.post(f"{path}/deliveries/{sent['id']}/redeliver"),
        await admin.post(f"{path}/test"),
    ):
        assert (response.status_code, response.json()["code"]) == (409, "webhook_disabled")


async def test_deleting_an_endpoint_removes_its_log_while_it_is_being_served(admin, made, desk):
    async with receiving() as receiver:
        await point_to(desk, made, receiver.url)
        async with desk.dispatching(2):
            for _ in range(10):
                await desk.happen(*range(10))
            await receiver.until(lambda: len(receiver.taken) > 5)
            assert (await admin.delete(f"/v1/webhooks/{made['id']}")).status_code == 204
    assert await desk.log(UUID(made["id"])) == []
    assert await desk.waiting(UUID(made["id"])) == 0


async def test_private_addresses_are_taken_and_sent_to_only_if_the_setting_allows_it(
    settings, database, keys, desk
):
    async with receiving() as receiver:
        endpoint = await desk.endpoint(receiver.url)
        async with desk.dispatching(allow_private=False, retries=(timedelta(hours=1),)):
            await desk.happen(1)
            await until(lambda: tried(desk, {"id": str(endpoint.id)}))
        (delivery,) = await desk.log(endpoint.id)
        assert (delivery.error, receiver.connections) == ("forbidden_address", 0)
        app = create_app(replace(settings, webhook_allow_private=True), database=database)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app),
            base_url="http://tridesk.test",
            headers={"Authorization": f"Bearer {keys['admin']}"},
        ) as client:
            body = {"url": receiver.url, "events": [f"{desk.kind}.*"], "description": desk.kind}
            assert (await client.post("/v1/webhooks", json=body)).status_code == 201


async def test_a_name_that_changes_its_address_after_it_was_accepted_is_not_followed(made, desk):
    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    async with receiving() as receiver:
        await point_to(desk, made, f"http://hooks.example.com:{receiver.port}/")
        async with desk.dispatching(
            retries=(timedelta(hours=1),),
            make_client=lambda: WebhookClient(allow_private=False, resolve=resolve),
        ):
            await desk.happen(1)
            await until(lambda: tried(desk, made))
        assert receiver.connections == 0
    (delivery,) = await desk.log(UUID(made["id"]))
    assert delivery.error == "forbidden_address"


async def test_old_delivered_messages_leave_the_log_and_others_stay(admin, made, desk):
    async with receiving() as receiver:
        await point_to(desk, made, receiver.url)
        async with desk.dispatching():
            await desk.happen(1, 2)
            await until(lambda: all_delivered(desk, made))
        other = await desk.endpoint("http://127.0.0.1:9/")
        await desk.happen(3)
        await fan_out(desk.database)
        assert await purge_deliveries(desk.database) == 0
        assert await purge_deliveries(desk.database, keep=timedelta(0), batch=1) >= 2
    assert [each.status for each in await desk.log(UUID(made["id"]))] == ["pending"]
    assert [each.status for each in await desk.log(other.id)] == ["pending"]

"""The suppression list and the unsubscribe link."""

from __future__ import annotations

from uuid import uuid4

import pytest

from app.mail.tokens import unsubscribe_token
from tests.mail.library import events, new_address

TOKEN_SECRET = "a secret of at least 24 bytes"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
async def mail(mailer, database):
    async with database.session() as session:
        return await mailer.send(
            session,
            template="notice",
            to=new_address(),
            title="x",
            context={"heading": "h", "body": "b"},
            scope="features",
        )


def link(mail) -> str:
    return f"/v1/unsubscribe/{unsubscribe_token(TOKEN_SECRET, mail.id)}"


async def entries(admin, address: str) -> list[dict]:
    return (await admin.get("/v1/mail/suppressions", params={"address": address})).json()["items"]


async def test_following_the_link_asks_and_changes_nothing(client, admin, mail):
    for _ in range(2):
        page = await client.get(link(mail))
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert '<form method="post">' in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert mail.recipient not in page.text
    assert await entries(admin, mail.recipient) == []


async def test_one_click_unsubscribes_from_the_scope_and_again_changes_nothing(client, admin, mail, database):
    for _ in range(3):
        assert (await client.post(link(mail), data=ONE_CLICK)).status_code == 200
    (entry,) = await entries(admin, mail.recipient)
    assert (entry["scope"], entry["reason"], entry["source"]) == ("features", "unsubscribed", "link")
    (event,) = await events(database, "mail_suppression.added", entry["id"])
    assert event["audit"]
    assert "address" not in event["after"]


@pytest.mark.parametrize("method", ["get", "post"])
async def test_a_link_that_is_not_ours_is_unknown(client, mail, method):
    good = unsubscribe_token(TOKEN_SECRET, mail.id)
    for token in (
        good[:-4] + "aaaa",
        good[:-1],
        unsubscribe_token(TOKEN_SECRET, uuid4()),
        unsubscribe_token("another secret of 24 bytes", mail.id),
        "x",
        "%00",
        "%C3%A4" * 52,
    ):
        response = await client.request(method, f"/v1/unsubscribe/{token}")
        assert (response.status_code, response.json()["code"]) == (404, "unknown_unsubscribe_link"), token


async def test_a_mail_that_nobody_can_unsubscribe_from_has_no_link(client, mailer, database):
    async with database.session() as session:
        mail = await mailer.send(
            session, template="notice", to=new_address(), title="x", context={"heading": "h", "body": "b"}
        )
    assert (await client.get(link(mail))).status_code == 404


async def test_an_admin_keeps_the_list(admin, database):
    address = new_address()
    made = await admin.post("/v1/mail/suppressions", json={"address": address.upper()})
    assert made.status_code == 201
    assert (made.json()["address"], made.json()["scope"], made.json()["reason"]) == (address, "*", "manual")
    again = await admin.post("/v1/mail/suppressions", json={"address": address})
    assert (again.status_code, again.json()["code"], again.json()["id"]) == (
        409,
        "suppression_exists",
        made.json()["id"],
    )
    path = f"/v1/mail/suppressions/{made.json()['id']}"
    assert (await admin.delete(path)).status_code == 204
    gone = await admin.delete(path)
    assert (gone.status_code, gone.json()["code"]) == (404, "suppression_not_found")
    assert await events(database, "mail_suppression.removed", made.json()["id"])


@pytest.mark.parametrize("role", ["customer", "agent", "lead"])
async def test_nobody_else_changes_the_list(as_role, role):
    async with as_role(role) as client:
        made = await client.post("/v1/mail/suppressions", json={"address": "a@b.test"})
        removed = await client.delete(f"/v1/mail/suppressions/{uuid4()}")
        listed = await client.get("/v1/mail/suppressions")
    assert (made.status_code, removed.status_code) == (403, 404 if role == "customer" else 403)
    assert listed.status_code == (403 if role == "customer" else 200)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"address": "nobody"},
        {"address": "a@b\0.test"},
        {"address": "a@b.test", "scope": "A B"},
        {"address": "a@b.test", "x": 1},
    ],
)
async def test_what_is_no_address_is_refused(admin, body):
    assert (await admin.post("/v1/mail/suppressions", json=body)).status_code == 400


async def test_the_outgoing_log_shows_mails_to_staff(as_role, mail):
    async with as_role("agent") as agent:
        listed = await agent.get("/v1/mail/messages", params={"address": mail.recipient, "status": "queued"})
    (shown,) = listed.json()["items"]
    assert (shown["id"], shown["scope"], shown["status"]) == (str(mail.id), "features", "queued")
    async with as_role("customer") as customer:
        assert (await customer.get("/v1/mail/messages")).status_code == 403

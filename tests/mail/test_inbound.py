"""Mail in: signature, storing once, the verdict, failures that are seen and tried again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID

import httpx
import msgspec
import pytest
import standardwebhooks

from app.jobs import LAST_ATTEMPT
from app.main import create_app
from app.requests import wrap_in_context
from tests.mail.library import (
    OTHER_SECRET,
    SECRET,
    deliver,
    events,
    inbound,
    jobs,
    post,
    signed,
    write,
)


async def test_a_signed_mail_is_stored_and_a_desk_gets_it(client, receiver, desk):
    raw = write(from_="Ada <Ada@Customer.test>", text="The button is grey.")
    row = await deliver(client, receiver, raw)
    assert (row.status, row.verdict, row.desk, row.sender) == (
        "processed",
        "accepted",
        "cases",
        "ada@customer.test",
    )
    assert row.raw == raw
    (mail, thread) = desk.received[0]
    assert (mail.text, mail.title, mail.sender_name, thread) == ("The button is grey.", "Help", "Ada", None)
    assert await events(receiver._database, "mail.received", row.id)
    assert await events(receiver._database, "test_case.created", row.subject_id)


async def test_the_public_library_signs_what_the_route_takes(client, unique):
    from datetime import UTC, datetime

    raw, now = write(subject=unique), datetime.now(UTC)
    signature = standardwebhooks.Webhook(SECRET).sign("msg_9", now, raw.decode())
    headers = {
        "webhook-id": "msg_9",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": f"v1,bm90IG91cnM= {signature}",
        "content-type": "message/rfc822",
    }
    response = await client.post("/v1/inbound/email", content=raw, headers=headers)
    assert response.status_code == 202, response.text


@pytest.mark.parametrize("secret", [SECRET, OTHER_SECRET])
async def test_every_configured_secret_signs(client, secret):
    raw = write()
    response = await client.post("/v1/inbound/email", content=raw, headers=signed(raw, secret=secret))
    assert response.status_code == 202


def _broken(raw: bytes) -> dict[str, dict[str, str]]:
    good, now = signed(raw), int(time.time())
    return {
        "none": {"content-type": "message/rfc822"},
        "no id": good | {"webhook-id": ""},
        "other id": good | {"webhook-id": "msg_2"},
        "other time": good | {"webhook-timestamp": str(now + 1)},
        "no number": good | {"webhook-timestamp": "yesterday"},
        "other body": signed(raw + b"x"),
        "old": signed(raw, timestamp=now - 301),
        "early": signed(raw, timestamp=now + 301),
        "other secret": signed(raw, secret="whsec_" + "d3Jvbmch" * 5),
        "other version": good | {"webhook-signature": good["webhook-signature"].replace("v1,", "v2,")},
        "umlaut": good | {"webhook-signature": "v1,\u00e4"},
    }


@pytest.mark.parametrize("kind", _broken(b""))
async def test_a_signature_that_does_not_hold_stores_nothing(client, admin, kind, unique):
    raw = write(message_id=f"<{unique}-{kind.replace(' ', '-')}@broken.test>")
    headers = {name: value.encode("utf-8") for name, value in _broken(raw)[kind].items()}
    response = await client.post("/v1/inbound/email", content=raw, headers=headers)
    assert (response.status_code, response.json()["code"]) == (401, "invalid_signature")
    listed = await admin.get("/v1/mail/inbound", params={"limit": 100})
    assert listed.status_code == 200
    assert "@broken.test" not in listed.text


@pytest.mark.parametrize("kind", ["none", "no id", "no number", "no signature", "old", "early"])
async def test_what_cannot_be_signed_is_refused_before_its_body_is_read(client, kind):
    broken = _broken(b"")
    headers = (broken | {"no signature": signed(b"") | {"webhook-signature": " "}})[kind]
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(100):
            read += 1
            yield b"x"

    response = await client.post("/v1/inbound/email", content=body(), headers=headers)
    assert (response.status_code, response.json()["code"]) == (401, "invalid_signature")
    assert read == 0


async def test_without_a_secret_the_route_says_that_mail_is_off(mail_settings, database):
    app = create_app(replace(mail_settings, inbound_mail_secret=None), database=database)
    wrap_in_context(app)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://off.test"
    ) as client:
        response = await post(client, write())
    assert (response.status_code, response.json()["code"]) == (404, "inbound_mail_off")


@pytest.mark.parametrize("field", ["email", "raw", "body-mime"])
@pytest.mark.parametrize("as_file", [True, False])
async def test_a_form_carries_the_message_as_a_file_or_a_text(client, receiver, field, as_file):
    raw = write(text="From a form.")
    form = {"files": {field: ("mail.eml", raw)}} if as_file else {"files": {field: (None, raw.decode())}}
    request = client.build_request("POST", "/v1/inbound/email", **form)
    body = request.read()
    headers = signed(body) | {"content-type": request.headers["content-type"]}
    response = await client.post("/v1/inbound/email", content=body, headers=headers)
    assert response.status_code == 202, response.text
    row = await inbound(receiver._database, UUID(response.json()["id"]))
    assert b"From a form." in row.raw


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{}", "application/json", 415),
        (b"", "message/rfc822", 400),
        (b" \r\n", "message/rfc822", 400),
        (b"--x\r\n\r\n--x--", "multipart/form-data; boundary=x", 400),
        (b"no form", "multipart/form-data; boundary=x", 400),
        (b"no form", "multipart/form-data", 400),
        (b"From: a@b.test\n\n" + b"x" * 200_000, "message/rfc822", 413),
        (b"From: a@b.test\n\n" + b"x" * 400_000, "message/rfc822", 413),
    ],
)
async def test_a_body_that_is_no_mail_is_refused(client, body, kind, status):
    headers = signed(body) | {"content-type": kind}
    response = await client.post("/v1/inbound/email", content=body, headers=headers)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"


async def test_the_same_mail_again_is_the_first_one(client, receiver, desk):
    raw = write()
    first = await deliver(client, receiver, raw)
    # By another way, with other line ends: a copy of the same mail.
    copy = b"Received: from elsewhere\n" + raw.replace(b"\r\n", b"\n")
    for again in (raw, copy):
        answer = (await post(client, again)).json()
        assert answer == {
            "id": str(first.id),
            "status": "processed",
            "verdict": "accepted",
            "duplicate": True,
        }
    assert len(desk.received) == 1


async def test_another_mail_that_borrows_a_message_id_is_not_lost(client, receiver, desk):
    raw = write(message_id="<borrowed@x.test>", text="one")
    other = write(message_id="<borrowed@x.test>", text="two")
    rows = [await deliver(client, receiver, each) for each in (raw, other)]
    assert rows[0].id != rows[1].id
    assert [mail.text for mail, _ in desk.received] == ["one", "two"]


async def test_twenty_posts_and_twenty_jobs_at_once_make_one_case(client, receiver, desk):
    raw = write()
    answers = await asyncio.gather(*(post(client, raw) for _ in range(20)))
    (identity,) = {UUID(each.json()["id"]) for each in answers}
    assert [each.status_code for each in answers] == [202] * 20
    assert sum(not each.json()["duplicate"] for each in answers) == 1
    (payload,) = await jobs(receiver._database, identity)
    await asyncio.gather(*(receiver.handle(payload, 1) for _ in range(20)))
    row = await inbound(receiver._database, identity)
    assert len(desk.received) == 1
    assert len(await events(receiver._database, "test_case.created", row.subject_id)) == 1


async def test_a_failing_desk_leaves_nothing_and_is_tried_again(client, receiver, desk):
    identity = UUID((await post(client, write())).json()["id"])
    payload = msgspec.json.encode({"id": identity})
    desk.fail = LookupError("a secret of the mail")
    before = len(await events(receiver._database, "test_case.created"))
    with pytest.raises(LookupError):
        await receiver.handle(payload, 1)
    row = await inbound(receiver._database, identity)
    assert (row.status, row.verdict, row.error, row.attempts) == ("received", None, "LookupError", 1)
    assert len(await events(receiver._database, "test_case.created")) == before

    with pytest.raises(LookupError):
        await receiver.handle(payload, LAST_ATTEMPT)
    row = await inbound(receiver._database, identity)
    assert (row.status, row.error, row.attempts) == ("failed", "LookupError", 2)
    assert await events(receiver._database, "mail.not_processed", identity)

    desk.fail = None  # a retry by hand of the failed job
    await receiver.handle(payload, 1)
    row = await inbound(receiver._database, identity)
    assert (row.status, row.verdict, row.error) == ("processed", "accepted", None)


async def test_card_numbers_are_stored_nowhere(client, receiver, desk):
    import base64

    encoded = base64.encodebytes(b"It is 5500 0000 0000 0004.").decode()
    raw = (
        "From: ada@cards.test\nTo: support@desk.test\nSubject: my card 4111 1111 1111 1111\n"
        "MIME-Version: 1.0\n"
        "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n" + encoded
    ).encode()
    row = await deliver(client, receiver, raw)
    assert b"4111 1111" not in row.raw
    assert "4111 1111" not in row.title
    assert encoded.strip().encode() not in row.raw
    mail, _ = desk.received[0]
    assert "5500 0000" not in mail.text
    assert "0004" in mail.text  # the last four remain: the text was read


async def test_the_log_shows_verdicts_to_staff_and_is_hidden_from_customers(
    client, receiver, as_role, unique
):
    row = await deliver(client, receiver, write(from_=f"{unique}@Log.test", auto_submitted="auto-replied"))
    async with as_role("agent") as agent:
        listed = await agent.get("/v1/mail/inbound", params={"address": f"{unique}@log.test"})
    (shown,) = listed.json()["items"]
    assert (shown["id"], shown["verdict"], shown["reason"]) == (str(row.id), "ignored_auto", "auto_submitted")
    async with as_role("customer") as customer:
        assert (await customer.get("/v1/mail/inbound")).status_code == 403
    assert (await client.get("/v1/mail/inbound")).status_code == 401

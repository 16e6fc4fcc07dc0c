"""The loop guard: what nobody wrote makes nothing, and bounces are believed only of our own mails."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import msgspec
import pytest

from app.events import Subject
from app.mail.constants import RATE_MAX
from tests.mail.library import ADDRESS, deliver, events, new_address, outgoing, post, write

AUTOMATIC = [
    ({"auto_submitted": "auto-replied"}, "ignored_auto", "auto_submitted"),
    ({"auto_submitted": "auto-generated; type=x"}, "ignored_auto", "auto_submitted"),
    ({"auto_submitted": "AUTO-NOTIFIED (vacation)"}, "ignored_auto", "auto_submitted"),
    ({"precedence": "bulk"}, "ignored_auto", "precedence"),
    ({"precedence": "List"}, "ignored_auto", "precedence"),
    ({"precedence": "junk"}, "ignored_auto", "precedence"),
    ({"list_id": "News <news.example.test>"}, "ignored_auto", "list_id"),
    ({"x_auto_response_suppress": "All"}, "ignored_auto", "auto_response_suppress"),
    ({"x_auto_response_suppress": "DR, OOF"}, "ignored_auto", "auto_response_suppress"),
    ({"return_path": "<>"}, "bounce", "null_return_path"),
    ({"from_": "MAILER-DAEMON@mx.test"}, "bounce", "mailer_daemon"),
    ({"from_": ADDRESS}, "loop", "own_address"),
    ({"from_": "Support+abc@Desk.test"}, "loop", "own_address"),
    ({"x_loop": ADDRESS}, "loop", "x_loop"),
]
BY_PEOPLE = [
    {},
    {"auto_submitted": "no"},
    {"auto_submitted": "No (really)"},
    {"precedence": "first-class"},
    {"x_auto_response_suppress": "DR"},
    {"x_loop": "somebody@else.test"},
    {"return_path": "<ada@customer.test>"},
    {"subject": "Auto-Submitted: auto-replied"},
]


@pytest.mark.parametrize("case", AUTOMATIC, ids=lambda case: f"{case[2]}-{next(iter(case[0].values()))}")
async def test_what_no_person_wrote_reaches_no_desk(client, receiver, desk, case):
    headers, verdict, reason = case
    row = await deliver(client, receiver, write(**headers))
    assert (row.status, row.verdict, row.reason) == ("processed", verdict, reason)
    assert desk.received == []


@pytest.mark.parametrize("headers", BY_PEOPLE)
async def test_what_a_person_wrote_reaches_the_desk(client, receiver, desk, headers):
    row = await deliver(client, receiver, write(**headers))
    assert (row.verdict, len(desk.received)) == ("accepted", 1)


async def test_an_automatic_answer_is_filed_at_its_thread_without_changing_it(client, receiver, desk):
    first = await deliver(client, receiver, write(from_="away@loop.test"))
    answer = write(from_="away@loop.test", in_reply_to=f"<{first.message_id}>", auto_submitted="auto-replied")
    row = await deliver(client, receiver, answer)
    assert (row.verdict, row.subject_id) == ("ignored_auto", first.subject_id)
    assert len(desk.received) == 1
    assert await events(receiver._database, "test_case.replied", first.subject_id) == []


async def test_our_own_mail_that_comes_back_is_a_loop(client, receiver, desk, mailer, database):
    async with database.session() as session:
        sent = await mailer.send(
            session, template="notice", to=new_address(), title="x", context={"heading": "h", "body": "b"}
        )
    raw = write(message_id=f"<{sent.message_id}>")
    assert (await deliver(client, receiver, raw)).reason == "own_message"
    assert desk.received == []


async def test_of_a_flood_into_one_thread_only_so_many_mails_an_hour_get_in(client, receiver, desk):
    sender = new_address()
    first = await deliver(client, receiver, write(from_=sender))
    raws = [
        write(from_=sender, in_reply_to=f"<{first.message_id}>", text=str(n)) for n in range(RATE_MAX + 5)
    ]
    posted = [UUID((await post(client, raw)).json()["id"]) for raw in raws]
    # Side by side: the count must hold although none sees what the others have not committed.
    await asyncio.gather(*(receiver.handle(msgspec.json.encode({"id": each}), 1) for each in posted))
    assert len(desk.received) == RATE_MAX
    other = await deliver(client, receiver, write())
    assert other.verdict == "accepted"


async def test_of_a_flood_of_new_mails_only_so_many_an_hour_get_in(client, receiver, desk):
    sender = new_address()
    verdicts = [(await deliver(client, receiver, write(from_=sender))).verdict for _ in range(RATE_MAX + 2)]
    assert verdicts == ["accepted"] * RATE_MAX + ["loop"] * 2


def report(
    *,
    address: str,
    message_id: str,
    status: str = "5.1.1",
    action: str = "failed",
    headers_only: bool = False,
) -> bytes:
    """A delivery report as mail servers write it (RFC 3464)."""
    kind = "text/rfc822-headers" if headers_only else "message/rfc822"
    return (
        f"From: Mail <postmaster@mx.test>\r\nTo: {ADDRESS}\r\nSubject: Undelivered\r\n"
        f"Message-ID: <{uuid4()}@mx.test>\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.test\r\n\r\n"
        f"Final-Recipient: rfc822; {address}\r\nAction: {action}\r\nStatus: {status}\r\n\r\n"
        f"--b\r\nContent-Type: {kind}\r\n\r\nMessage-ID: <{message_id}>\r\nSubject: x\r\n\r\n"
        "--b--\r\n"
    ).encode()


@pytest.fixture
async def sent(mailer, database):
    async with database.session() as session:
        return await mailer.send(
            session,
            template="notice",
            to=new_address(),
            title="Shipped",
            context={"heading": "Shipped", "body": "b"},
            subject=Subject("test_case", uuid4()),
        )


async def suppressions(admin, address: str) -> list[tuple[str, str]]:
    listed = (await admin.get("/v1/mail/suppressions", params={"address": address})).json()["items"]
    return [(each["reason"], each["source"]) for each in listed]


@pytest.mark.parametrize("headers_only", [True, False])
async def test_a_hard_bounce_of_our_mail_suppresses_its_address(client, receiver, admin, sent, headers_only):
    raw = report(address=sent.recipient.upper(), message_id=sent.message_id, headers_only=headers_only)
    row = await deliver(client, receiver, raw)
    assert (row.verdict, row.reason) == ("bounce", "delivery_status")
    assert await suppressions(admin, sent.recipient) == [("hard_bounce", "delivery_report")]
    assert (await outgoing(receiver._database, sent.id)).status == "bounced"
    (event,) = await events(receiver._database, "mail.bounced", sent.id)
    assert event["after"]["error"] == "5.1.1"


@pytest.mark.parametrize(
    "change",
    [
        {"status": "4.4.1"},
        {"status": "5.2.2"},
        {"status": "5.7.1"},
        {"status": "nonsense"},
        {"action": "delayed"},
        {"message_id": "forged@elsewhere.test"},
        {"address": "victim@elsewhere.test"},
    ],
)
async def test_a_soft_or_forged_bounce_suppresses_nobody(client, receiver, admin, sent, change):
    fields = {"address": sent.recipient, "message_id": sent.message_id} | change
    row = await deliver(client, receiver, report(**fields))
    assert row.verdict == "bounce"
    for address in {sent.recipient, fields["address"]}:
        assert await suppressions(admin, address) == []

"""Mail out: written in the caller's transaction, sent to a real server, at least once."""

from __future__ import annotations

import asyncio
import email
import email.policy
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import msgspec
import pytest
from sqlalchemy import text, update

from app.events import Subject
from app.identity import SYSTEM
from app.mail import Deliverer, Mailer, sweep
from app.mail.constants import RETRY_AFTER, SuppressionReason
from app.mail.models import OutgoingMail
from app.mail.service import suppress, suppressed_because
from app.mail.tokens import read_reply_token
from tests.mail.library import (
    ADDRESS,
    deliver,
    events,
    jobs,
    new_address,
    outgoing,
    write,
)

TOKEN_SECRET = "a secret of at least 24 bytes"


@pytest.fixture
def send(mailer, database):
    """Write one mail in a transaction of its own."""

    async def send(**changes):
        values = {
            "template": "notice",
            "to": new_address(),
            "title": "It shipped",
            "context": {"heading": "It shipped", "body": "The dark mode is there."},
        }
        async with database.session() as session:
            return await mailer.send(session, **(values | changes))

    return send


async def attempt(deliverer: Deliverer, mail: OutgoingMail, number: int = 0) -> OutgoingMail:
    await deliverer.handle(msgspec.json.encode({"id": mail.id, "attempt": number}), 1)
    return await outgoing(deliverer._database, mail.id)


async def test_a_mail_reaches_the_server_with_all_its_headers(send, deliverer, mailbox):
    case = Subject("ticket", uuid4())
    mail = await send(subject=case, scope="features", to_name="Ada Größe", from_name="Desk")
    (payload,) = await jobs(deliverer._database, mail.id)
    await deliverer.handle(payload, 1)
    (envelope,) = mailbox.messages
    assert (envelope.mail_from, envelope.rcpt_tos) == (ADDRESS, [mail.recipient])
    message = email.message_from_bytes(envelope.content, policy=email.policy.default)
    assert message["from"] == f"Desk <{ADDRESS}>"
    assert message["to"].addresses[0].display_name == "Ada Größe"
    assert message["subject"] == "It shipped"
    assert message["message-id"] == f"<{mail.message_id}>"
    assert message["auto-submitted"] == "auto-generated"
    assert message["x-loop"] == ADDRESS
    token = message["reply-to"].addresses[0].username.partition("+")[2]
    assert read_reply_token(TOKEN_SECRET, token, types=["ticket"]) == case
    assert message["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"
    assert message["list-unsubscribe"].startswith("<https://desk.test/v1/unsubscribe/")
    texts = {part.get_content_type(): part.get_content() for part in message.iter_parts()}
    assert "The dark mode is there." in texts["text/plain"]
    assert "<p>The dark mode is there.</p>" in texts["text/html"]
    assert message["list-unsubscribe"].strip("<>") in texts["text/plain"]
    sent = await outgoing(deliverer._database, mail.id)
    assert (sent.status, sent.attempts, sent.next_attempt_at) == ("sent", 1, None)
    assert sent.sent_at is not None
    assert await events(deliverer._database, "mail.sent", mail.id)


async def test_an_answer_refers_to_the_mails_of_its_thread(client, receiver, send):
    question = await deliver(client, receiver, write(from_=new_address()))
    case = Subject("test_case", question.subject_id)
    first = await send(subject=case, to=question.sender, automatic=False)
    second = await send(subject=case, to=question.sender)
    row = await outgoing(receiver._database, second.id)
    message = email.message_from_bytes(row.raw, policy=email.policy.default)
    assert message["references"].split() == [f"<{question.message_id}>", f"<{first.message_id}>"]
    assert message["in-reply-to"] == f"<{first.message_id}>"
    assert message["auto-submitted"] == "auto-replied"
    written = email.message_from_bytes((await outgoing(receiver._database, first.id)).raw)
    assert "auto-submitted" not in written


async def test_a_rolled_back_change_sends_no_mail(mailer, database):
    with pytest.raises(LookupError):  # noqa: PT012 - the block is the transaction
        async with database.session() as session:
            mail = await mailer.send(
                session, template="notice", to=new_address(), title="x", context={"heading": "h", "body": "b"}
            )
            raise LookupError
    assert await jobs(database, mail.id) == []


async def test_without_a_mail_server_nothing_is_written(mail_settings, database):
    async with database.session() as session:
        off = Mailer(replace(mail_settings, smtp_host=None))
        assert (
            off.is_on,
            await off.send(session, template="notice", to="a@b.test", title="x", context={}),
        ) == (
            False,
            None,
        )


@pytest.mark.parametrize(
    "values",
    [
        {"title": "a\r\nBcc: victim@x.test"},
        {"title": "a\u2028Bcc: victim@x.test\0"},
        {"to_name": 'Ada"\r\nBcc: victim@x.test'},
        {"from_name": "Desk <evil@x.test>,\nBcc: victim@x.test"},
        {"to_name": "=?utf-8?q?a=0D=0ABcc:_victim@x.test?="},
        {"to_name": "==?\r?utf-8?q?a=0D=0ABcc:_victim@x.test?="},
        {"title": "=?utf-8?q?a=0D=0ABcc:_victim@x.test?="},
        {"title": "=?utf-8?b?YQ0KQmNjOiB2aWN0aW1AeC50ZXN0?= =\0?utf-8?q?=0D=0ABcc:_v@x.test?="},
    ],
)
async def test_no_value_becomes_a_header(send, deliverer, mailbox, values):
    mail = await send(**values)
    await attempt(deliverer, mail)
    (envelope,) = mailbox.messages
    message = email.message_from_bytes(envelope.content, policy=email.policy.default)
    assert "bcc" not in message
    assert envelope.rcpt_tos == [mail.recipient]
    assert [each.addr_spec for each in message["to"].addresses] == [mail.recipient]
    assert [each.addr_spec for each in message["from"].addresses] == [ADDRESS]


@pytest.mark.parametrize(
    "to",
    [
        "",
        "nobody",
        "a@b.test\r\nRCPT TO:<c@d.test>",
        "a b@c.test",
        "ä@b.test",
        "a@ä.test",
        "<a@b.test>",
        "a@b@c.test",
    ],
)
async def test_an_address_that_no_server_takes_is_noted_and_not_tried(send, database, to):
    mail = await send(to=to)
    assert (mail.status, mail.error) == ("failed", "address_unsupported")
    assert await jobs(database, mail.id) == []


async def test_values_are_escaped_and_html_is_made_harmless(send, database):
    mail = await send(
        template="reply",
        context={
            "body": "<script>alert(1)</script> ${x} $author",
            "author": "<img src=x onerror=alert(1)>",
            "body_html": '<b>bold</b><script>alert(1)</script><img src="https://track.test/1">'
            '<a href="javascript:alert(1)">x</a>',
        },
    )
    message = email.message_from_bytes((await outgoing(database, mail.id)).raw, policy=email.policy.default)
    html = message.get_body(("html",)).get_content()
    assert "<b>bold</b>" in html
    for evil in ("<script", "<img", "javascript:", "track.test"):
        assert evil not in html
    assert "${x} $author" in message.get_body(("plain",)).get_content()


async def test_card_numbers_do_not_leave(send, database):
    number = "4111 1111 1111 1111"
    mail = await send(title=f"About {number}", context={"heading": number, "body": f"Yours: {number}"})
    row = await outgoing(database, mail.id)
    assert number.encode() not in row.raw
    assert number not in row.title


@pytest.mark.parametrize(
    ("answer", "is_suppressed"),
    [
        ("550 5.1.1 no such user", True),
        ("550 no such user", True),
        ("550 5.7.1 policy", False),
        ("552 5.2.2 full", False),
    ],
)
async def test_a_refusal_for_good_ends_it_and_a_dead_address_is_suppressed(
    send, deliverer, mailbox, answer, is_suppressed
):
    mailbox.on_recipient = answer
    mail = await send()
    row = await attempt(deliverer, mail)
    assert row.status == "failed"
    assert answer.startswith(row.error)
    assert row.error[-1].isdigit()  # the codes, without the server's prose
    async with deliverer._database.session() as session:
        reason = await suppressed_because(session, mail.recipient, scope=None)
    assert reason == ("hard_bounce" if is_suppressed else None)
    assert (await send(to=mail.recipient)).status == ("suppressed" if is_suppressed else "queued")


async def test_a_refused_text_says_nothing_about_the_address(send, deliverer, mailbox):
    mailbox.on_data = "554 5.7.1 looks like spam"
    row = await attempt(deliverer, await send())
    assert (row.status, row.error) == ("failed", "554 5.7.1")
    async with deliverer._database.session() as session:
        assert await suppressed_because(session, row.recipient, scope=None) is None


@pytest.mark.parametrize("trouble", ["greylisted", "away", "silent login"])
async def test_trouble_that_passes_is_tried_again_later(send, deliverer, mailbox, mail_settings, trouble):
    mail, other = await send(), deliverer
    if trouble == "greylisted":
        mailbox.on_recipient = "451 4.7.1 come back"
    elif trouble == "away":
        other = Deliverer(replace(deliverer._settings, smtp_port=1), deliverer._database)
    else:  # a server that offers no login
        other = Deliverer(replace(deliverer._settings, smtp_user="u", smtp_password="p"), deliverer._database)
    row = await attempt(other, mail)
    assert (row.status, row.attempts) == ("queued", 1)
    assert row.error
    assert row.next_attempt_at - row.created_at >= RETRY_AFTER[0]
    mailbox.on_recipient = None
    await make_due(deliverer._database, mail)
    await sweep(deliverer._database)
    assert msgspec.json.decode((await jobs(deliverer._database, mail.id))[-1])["attempt"] == 1
    assert (await attempt(deliverer, mail, 1)).status == "sent"


async def make_due(database, mail) -> None:
    async with database.session() as session:
        await session.execute(
            update(OutgoingMail)
            .where(OutgoingMail.id == mail.id)
            .values(next_attempt_at=mail.created_at - timedelta(hours=1))
        )


async def test_after_two_days_of_trouble_it_is_given_up(send, deliverer, mailbox):
    mailbox.on_recipient = "451 4.7.1 come back"
    mail = await send()
    for number in range(len(RETRY_AFTER)):
        assert (await attempt(deliverer, mail, number)).status == "queued"
    row = await attempt(deliverer, mail, len(RETRY_AFTER))
    assert (row.status, row.next_attempt_at) == ("failed", None)
    assert sum(RETRY_AFTER, timedelta()) >= timedelta(days=1.9)


async def test_many_jobs_for_one_attempt_send_once(send, deliverer, mailbox):
    mail = await send()
    await asyncio.gather(*(attempt(deliverer, mail) for _ in range(10)))
    assert len(mailbox.messages) == 1


async def test_a_worker_killed_after_the_servers_answer_repeats_the_same_message(
    send, deliverer, mailbox, monkeypatch
):
    """At least once: the outcome was not written, the lease ends, the same bytes go out again."""
    mail = await send()

    async def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(deliverer, "_settle", killed)
        with pytest.raises(KeyboardInterrupt):
            await attempt(deliverer, mail)
    row = await outgoing(deliverer._database, mail.id)
    assert (row.status, row.attempts) == ("queued", 1)
    await make_due(deliverer._database, mail)
    assert await sweep(deliverer._database) >= 1
    assert (await attempt(deliverer, mail, 1)).status == "sent"
    one, two = mailbox.messages
    assert one.content == two.content


async def test_sweeps_side_by_side_queue_an_attempt_once(send, database):
    mail = await send()
    await make_due(database, mail)
    await asyncio.gather(*(sweep(database) for _ in range(5)))
    assert len(await jobs(database, mail.id)) == 2  # the first one, and one of the sweeps'


async def test_who_unsubscribed_while_the_mail_was_queued_does_not_get_it(send, deliverer, mailbox):
    mail = await send(scope="features")
    async with deliverer._database.session() as session:
        await suppress(
            session,
            mail.recipient,
            scope="features",
            reason=SuppressionReason.unsubscribed,
            source="link",
            actor=SYSTEM,
        )
    row = await attempt(deliverer, mail)
    assert (row.status, row.error, mailbox.messages) == ("suppressed", "unsubscribed", [])
    assert (await send(to=mail.recipient)).status == "queued"  # of another kind
    assert (await send(to=mail.recipient, scope="features")).status == "suppressed"


async def test_mail_to_ourselves_is_not_sent(send):
    mail = await send(to="Support+x@desk.test")
    assert (mail.status, mail.error) == ("suppressed", "own_address")


async def test_no_address_is_in_an_event(send, deliverer, database):
    mail = await send()
    await attempt(deliverer, mail)
    async with database.session() as session:
        found = await session.scalar(
            text("select count(*) from event where concat(before, after) like :like"),
            {"like": f"%{mail.recipient}%"},
        )
    assert found == 0

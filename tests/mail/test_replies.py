"""A desk's reply by mail: who gets it, how its answers come back, and who has left."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from uuid import UUID, uuid4

import msgspec
import pytest
from sqlalchemy import text

from app import conversations
from app.conversations.constants import MessageKind, ParticipantRole
from app.events import Subject
from app.identity import SYSTEM, Principal, PrincipalKind, Role
from app.identity import service as identity
from app.identity.models import Person
from app.mail.constants import SuppressionReason
from app.mail.service import suppress
from tests.mail.library import deliver, new_address, write

WATCHER, CC = ParticipantRole.watcher, ParticipantRole.cc


@pytest.fixture
async def people(database):
    """Names to (id, address)."""
    async with database.session() as session:
        made = {}
        for name in ("requester", "copied", "left", "bounced", "gone", "watcher", "author"):
            address = new_address()
            person = await identity.create_person(
                session,
                principal=SYSTEM,
                name=name.title(),
                email=address.upper(),
                role=Role.agent if name in ("watcher", "author") else Role.customer,
            )
            made[name] = (person.id, address)
    return made


@pytest.fixture
async def case(database, people, client, receiver):
    """A case that the requester opened by mail, with everybody on it."""
    row = await deliver(client, receiver, write(from_=people["requester"][1], text="It fails."))
    subject = Subject("test_case", row.subject_id)
    async with database.session() as session:
        conversation = await conversations.open_conversation(
            session, subject, actor=SYSTEM, requester_id=people["requester"][0]
        )
        add = conversations.participants.add
        for name in ("copied", "left", "bounced", "gone"):
            await add(session, conversation, actor=SYSTEM, role=CC, person_id=people[name][0])
        for name in ("watcher", "author"):
            await add(session, conversation, actor=SYSTEM, role=WATCHER, person_id=people[name][0])
        await add(session, conversation, actor=SYSTEM, role=CC, email=people["copied"][1])  # the same address
        await conversations.participants.unsubscribe(
            session, conversation, actor=SYSTEM, person_id=people["left"][0]
        )
        await suppress(
            session,
            people["bounced"][1],
            reason=SuppressionReason.hard_bounce,
            source="test",
            actor=SYSTEM,
        )
        person = await session.get_one(Person, people["gone"][0])
        person.active = False
    return subject, row


@pytest.fixture
def reply(*, database, people, mailer, deliverer, mailbox, case):
    """``await reply("…", kind=…)`` by the author, as a desk sends it; mails by their recipients' names."""
    subject, _ = case
    author = Principal(
        kind=PrincipalKind.api_key,
        role=Role.agent,
        person_id=people["author"][0],
        account_id=None,
        name="Author",
        key_id=uuid4(),
    )
    names = {address: name for name, (_, address) in people.items()}

    async def reply(body: str, **options) -> dict[str, EmailMessage]:
        sent = []
        async with database.session() as session:
            conversation = await conversations.get(session, subject, principal=author)
            posted = await conversations.post(session, conversation, author=author, body=body, **options)
            message, kind = posted.message, MessageKind(posted.message.kind)
            for reader in await conversations.participants.recipients(
                session, conversation, kind=kind, besides=message.author_person_id
            ):
                mail = await mailer.send(
                    session,
                    template="reply",
                    to=reader.address,
                    to_name=reader.name,
                    person_id=reader.person_id,
                    title="[CASE-1] Export fails",
                    context={"body": message.body_text, "body_html": message.body_html, "author": "Author"},
                    subject=subject,
                    automatic=message.automatic,
                    scope=f"test_case:{subject.id}" if reader.may_leave else None,
                )
                sent.append(mail)
        mailbox.messages.clear()
        for each in sent:
            await deliverer.handle(msgspec.json.encode({"id": each.id, "attempt": 0}), 1)
        return {
            names.get(envelope.rcpt_tos[0], envelope.rcpt_tos[0]): email.message_from_bytes(
                envelope.content, policy=email.policy.default
            )
            for envelope in mailbox.messages
        }

    return reply


async def test_it_reaches_everybody_on_the_case_who_wants_it_and_can_be_reached(reply, mailbox):
    mails = await reply("We **look** into it.")
    assert sorted(mails) == ["copied", "requester", "watcher"]
    assert len(mailbox.messages) == 3  # the shared address once
    for each in mails.values():
        assert len(each["to"].addresses) == 1  # nobody learns who else gets it
        assert each["cc"] is None
        assert "We look into it." in each.get_body(("plain",)).get_content()
        assert "<strong>look</strong>" in each.get_body(("html",)).get_content()
        assert each["auto-submitted"] is None
    assert {name: bool(each["list-unsubscribe"]) for name, each in mails.items()} == {
        "copied": True,
        "watcher": True,
        "requester": False,
    }


async def test_a_note_goes_to_the_staff_alone(reply):
    assert sorted(await reply("Only for us.", kind=MessageKind.note)) == ["watcher"]


async def test_an_automatic_message_says_so(reply):
    mails = await reply("Closed in two days.", automatic=True)
    assert {each["auto-submitted"] for each in mails.values()} == {"auto-replied"}


async def test_it_stands_in_the_thread_and_its_answer_comes_back_to_the_case(
    *, reply, case, people, client, receiver, desk
):
    subject, question = case
    first = (await reply("One."))["requester"]
    second = (await reply("Two."))["requester"]
    assert first["references"].split() == [f"<{question.message_id}>"]
    assert second["references"].split()[0] == f"<{question.message_id}>"
    assert second["references"].split() == [f"<{question.message_id}>", first["message-id"]]
    assert second["in-reply-to"] == first["message-id"]
    for headers in (
        {"to": str(second["reply-to"])},
        {"in_reply_to": second["message-id"]},
    ):
        row = await deliver(client, receiver, write(from_=people["requester"][1], **headers))
        assert (row.verdict, row.subject_id) == ("accepted", subject.id)
        assert desk.received[-1][1] == subject


async def test_however_many_get_it_each_finds_what_they_had_before(*, reply, case, database):
    """Copies for others are no ancestors that a reader's program knows."""
    async with database.session() as session:
        conversation = await conversations.get(session, case[0], principal=SYSTEM)
        for _ in range(12):
            address = new_address()
            await conversations.participants.add(session, conversation, actor=SYSTEM, role=CC, email=address)
    first, second = await reply("One."), await reply("Two.")
    for name in ("requester", "watcher", "copied"):
        assert second[name]["in-reply-to"] == first[name]["message-id"]


@pytest.mark.parametrize(
    "headers", [{"auto_submitted": "auto-replied"}, {"precedence": "bulk"}, {"return_path": "<>"}]
)
async def test_what_a_machine_answers_reaches_no_desk(
    *, reply, case, people, client, receiver, desk, headers
):
    mail = (await reply("One."))["requester"]
    taken = len(desk.received)
    answer = write(from_=people["requester"][1], in_reply_to=mail["message-id"], **headers)
    row = await deliver(client, receiver, answer)
    assert row.verdict != "accepted"
    assert len(desk.received) == taken


async def test_who_follows_the_link_gets_no_more_of_this_case_and_the_rest_goes_on(
    reply, client, database, people
):
    mail = (await reply("One."))["copied"]
    link = str(mail["list-unsubscribe"]).strip("<>").removeprefix("https://desk.test")
    assert (await client.post(link, data={"List-Unsubscribe": "One-Click"})).status_code == 200
    assert sorted(await reply("Two.")) == ["requester", "watcher"]
    async with database.session() as session:
        scopes = await session.scalars(
            text("select scope from mail_suppression where address = :address"),
            {"address": people["copied"][1]},
        )
    (scope,) = scopes.all()
    assert scope.startswith("test_case:")
    assert UUID(scope.partition(":")[2])

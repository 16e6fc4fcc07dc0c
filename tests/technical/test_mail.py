"""Mail to the desk opens tickets and answers on them."""

from __future__ import annotations

from dataclasses import replace
from email.message import EmailMessage
from email.policy import SMTP
from uuid import UUID, uuid4

import httpx
import pytest
from litestar import Litestar
from sqlalchemy import text

from app import conversations
from app.config import Settings
from app.conversations import mailing
from app.conversations.constants import ParticipantRole
from app.database import Database
from app.mail import Receiver
from app.main import create_app, technical_desk
from app.rag.runtime import Rag
from app.requests import wrap_in_context
from app.technical.service.changes import subject_of
from app.technical.service.mailing import TechnicalMail
from tests.mail.library import ADDRESS, SECRET, deliver, new_address, write
from tests.technical.test_tickets import PATH, move


@pytest.fixture(scope="module")
def mail_settings(settings: Settings) -> Settings:
    return replace(
        settings,
        inbound_mail_secret=(SECRET,),
        mail_from=ADDRESS,
        mail_token_secret="a secret of at least 24 bytes",
        public_url="https://desk.test",
    )


@pytest.fixture
async def postbox(mail_settings: Settings, database: Database):
    """Takes mail in; the fixture ``app`` shows what became of it."""
    app: Litestar = create_app(mail_settings, database=database)
    wrap_in_context(app)
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]  # litestar's own ASGI types
    async with httpx.AsyncClient(transport=transport, base_url="http://tridesk.test") as client:
        yield client


@pytest.fixture
def receiver(mail_settings: Settings, database: Database, rag: Rag) -> Receiver:
    desk = TechnicalMail(desk=technical_desk(mail_settings, rag), attachment_max_bytes=100_000)
    return Receiver(mail_settings, database, [desk])


async def address_of(database: Database, person_id) -> str:
    async with database.session() as session:
        found = await session.scalar(text("select email from person where id = :id"), {"id": person_id})
    return str(found)


async def test_a_mail_of_a_customer_opens_their_ticket(postbox, receiver, database, caller):
    customer, agent = await caller(), await caller("agent")
    sender = await address_of(database, customer.person_id)
    raw = write(from_=sender, subject="Re: AW: [TEC-99999] Export  fails", text="It stops.\n\nAda")
    row = await deliver(postbox, receiver, raw)
    assert (row.verdict, row.desk) == ("accepted", "technical")
    ticket = (await customer.client.get(f"{PATH}/{row.subject_id}")).json()
    assert (ticket["subject"], ticket["source"]) == ("Export fails", "email")
    assert ticket["requester_id"] == str(customer.person_id)
    assert ticket["account_id"] == str(customer.account_id)
    messages = (await agent.client.get(f"{PATH}/{row.subject_id}/messages")).json()["items"]
    assert [(each["channel"], each["speaker"]) for each in messages] == [("email", "customer")]
    assert "It stops." in messages[0]["body"]


async def test_a_mail_of_nobody_known_opens_a_ticket_that_keeps_the_address(postbox, receiver, caller):
    agent, sender = await caller("agent"), new_address()
    row = await deliver(postbox, receiver, write(from_=sender, subject=""))
    ticket = (await agent.client.get(f"{PATH}/{row.subject_id}")).json()
    assert (ticket["subject"], ticket["requester_id"], ticket["status"]) == ("(no subject)", None, "new")
    assert ticket["waiting_since"] is not None
    again = await deliver(
        postbox, receiver, write(from_=sender, in_reply_to=f"<{row.message_id}>", text="And again.")
    )
    assert again.subject_id == row.subject_id
    messages = (await agent.client.get(f"{PATH}/{row.subject_id}/messages")).json()["items"]
    assert [each["author"]["email"] for each in messages] == [sender, sender]


async def test_an_answer_by_mail_moves_the_ticket_as_any_reply_does(postbox, receiver, database, caller):
    customer, agent, lead = await caller(), await caller("agent"), await caller("lead")
    sender = await address_of(database, customer.person_id)
    first = await deliver(postbox, receiver, write(from_=sender))
    ticket = {"id": str(first.subject_id)}
    staff = await address_of(database, agent.person_id)
    await deliver(
        postbox,
        receiver,
        write(from_=staff, in_reply_to=f"<{first.message_id}>", text="We look into it."),
    )
    seen = (await agent.client.get(f"{PATH}/{first.subject_id}")).json()
    assert (seen["status"], seen["waiting_since"]) == ("open", None)
    await move(agent, ticket, "pending")
    await deliver(postbox, receiver, write(from_=sender, in_reply_to=f"<{first.message_id}>"))
    assert (await agent.client.get(f"{PATH}/{first.subject_id}")).json()["status"] == "open"
    await move(agent, ticket, "solved")
    await move(lead, ticket, "closed")
    late = await deliver(postbox, receiver, write(from_=sender, in_reply_to=f"<{first.message_id}>"))
    assert late.subject_id != first.subject_id
    assert (await agent.client.get(f"{PATH}/{late.subject_id}")).json()["source"] == "follow_up"


async def test_automatic_mail_opens_nothing(postbox, receiver):
    row = await deliver(postbox, receiver, write(from_=new_address(), auto_submitted="auto-replied"))
    assert (row.desk, row.subject_id) == (None, None)


async def test_files_come_along_and_programs_do_not(postbox, receiver, caller):
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"] = new_address(), ADDRESS
    mail["Subject"], mail["Message-ID"] = "Log", f"<{uuid4().hex}@customer.test>"
    mail.set_content("See the log.")
    mail.add_attachment(b"line one", maintype="text", subtype="plain", filename="app.log")
    mail.add_attachment(b"MZ" + bytes(200), maintype="application", subtype="x", filename="setup.exe")
    row = await deliver(postbox, receiver, mail.as_bytes())
    agent = await caller("agent")
    messages = (await agent.client.get(f"{PATH}/{row.subject_id}/messages")).json()["items"]
    assert [each["name"] for each in messages[0]["attachments"]] == ["app.log"]


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Re: Help", "Help"),
        ("RE[2]: FW: WG:  Help   me", "Help me"),
        ("Re: [TEC-12] Re: Help", "Help"),
        ("Regarding: the export", "Regarding: the export"),
        ("  ", "(no subject)"),
        ("Re:", "(no subject)"),
        ("I: cannot log in", "cannot log in"),
    ],
)
def test_a_title_without_what_programs_put_before_it(title, expected):
    assert mailing.title_of(title, prefix="TEC-", maximum=300) == expected


@pytest.fixture
async def sending(mail_settings: Settings, database: Database):
    """``sending(caller)`` is that caller at an app whose outgoing mail is on."""
    settings = replace(mail_settings, smtp_host="127.0.0.1", smtp_port=1, smtp_tls="none")
    app: Litestar = create_app(settings, database=database)
    wrap_in_context(app)
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]  # litestar's own ASGI types

    def client(by) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=transport, base_url="http://tridesk.test", headers=dict(by.client.headers)
        )

    return client


async def mails_of(database: Database, ticket_id) -> list[dict]:
    statement = (
        "select recipient, title, automatic, scope, convert_from(raw, 'utf8') as raw from outgoing_mail"
    )
    async with database.session() as session:
        found = await session.execute(
            text(f"{statement} where subject_id = :id order by created_at, recipient"), {"id": ticket_id}
        )
        return [dict(row._mapping) for row in found]


async def test_replies_reach_everybody_on_the_ticket_but_their_author_and_notes_only_the_staff(
    sending, database, caller
):
    customer, agent, colleague = await caller(), await caller("agent"), await caller("agent")
    to = {
        name: await address_of(database, each.person_id)
        for name, each in {"customer": customer, "agent": agent, "colleague": colleague}.items()
    }
    async with sending(customer) as client:
        body = {"subject": "Export fails", "description": "It stops."}
        ticket = (await client.post(PATH, json=body)).json()
    async with database.session() as session:
        conversation = await conversations.get(
            session, subject_of(UUID(ticket["id"])), principal=agent.principal
        )
        await conversations.participants.add(
            session,
            conversation,
            actor=agent.principal,
            role=ParticipantRole.watcher,
            person_id=colleague.person_id,
        )
    async with sending(agent) as client:
        for kind, said in (("note", "Only for us."), ("public", "We **look** into it.")):
            response = await client.post(f"{PATH}/{ticket['id']}/messages", json={"body": said, "kind": kind})
            assert response.status_code == 201, response.text
    sent = await mails_of(database, ticket["id"])
    assert sorted((each["recipient"], "Only for us" in each["raw"]) for each in sent) == sorted(
        [(to["colleague"], True), (to["colleague"], False), (to["customer"], False)]
    )
    mail = next(each for each in sent if each["recipient"] == to["customer"])
    assert mail["title"] == f"[{ticket['number']}] Export fails"
    assert (mail["automatic"], mail["scope"]) == (False, None)
    assert "<strong>look</strong>" in mail["raw"].replace("=\r\n", "")
    assert f"ticket:{ticket['id']}" in {each["scope"] for each in sent}
    async with sending(customer) as client:
        await client.post(f"{PATH}/{ticket['id']}/messages", json={"body": "Thank you."})
    assert [each["recipient"] for each in (await mails_of(database, ticket["id"]))[3:]] == [to["colleague"]]


async def test_who_opens_a_ticket_by_mail_gets_one_automatic_receipt(
    postbox, mail_settings, database, rag, caller
):
    settings = replace(mail_settings, smtp_host="127.0.0.1", smtp_port=1, smtp_tls="none")
    desk = TechnicalMail(desk=technical_desk(settings, rag), attachment_max_bytes=100_000)
    sender = new_address()
    row = await deliver(postbox, Receiver(settings, database, [desk]), write(from_=sender))
    sent = await mails_of(database, row.subject_id)
    assert [(each["recipient"], each["automatic"]) for each in sent] == [(sender, True)]
    assert "auto-submitted" in sent[0]["raw"].lower()

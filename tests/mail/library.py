"""What the mail tests share: a desk, a mail server, ways to write a mail and to post it."""

from __future__ import annotations

import time
from collections import defaultdict
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
from aiosmtpd.controller import Controller
from sqlalchemy import select, text
from sqlalchemy.orm import undefer

from app.database import Database
from app.events import Subject, record
from app.identity import SYSTEM
from app.mail import Receiver
from app.mail.models import InboundMail, OutgoingMail
from app.mail.signatures import sign

SECRET = "whsec_" + "c2VjcmV0" * 5
OTHER_SECRET = "whsec_" + "b3RoZXIh" * 5
ADDRESS = "support@desk.test"


class CaseDesk:
    """Opens a case for new mail, adds to its own; each writes an event in the given transaction."""

    name = "cases"
    subject_type = "test_case"

    def __init__(self, addresses: tuple[str, ...] = (ADDRESS,)) -> None:
        self.addresses = addresses
        self.received: list[Any] = []
        self.participants: dict[UUID, set[str]] = defaultdict(set)
        self.fail: Exception | None = None

    async def participates(self, session, thread, *, address, person_id) -> bool:
        return address in self.participants[thread.id]

    async def handle(self, session, mail, *, thread):
        case = Subject(self.subject_type, thread.id if thread else uuid4())
        kind = "test_case.replied" if thread else "test_case.created"
        await record(session, kind, subject=case, actor=SYSTEM, after={"mail": str(mail.id)})
        self.received.append((mail, thread))
        if self.fail is not None:
            raise self.fail
        return case


class Mailbox:
    """A mail server's other side: keeps what it takes, answers as told."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.on_recipient: str | None = None
        self.on_data: str | None = None

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802 - aiosmtpd's name
        if self.on_recipient:
            return self.on_recipient
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 - aiosmtpd's name
        self.messages.append(envelope)
        return self.on_data or "250 taken"


class MailServer(Controller):
    """aiosmtpd on a free port of loopback."""

    def __init__(self, mailbox: Mailbox) -> None:
        super().__init__(mailbox, hostname="127.0.0.1", port=0, ready_timeout=10)

    def _trigger_server(self) -> None:
        """The port is known only now; the stock one would knock at port 0."""
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


def write(**headers: Any) -> bytes:
    """A mail; ``text``, ``html`` and ``attachments`` are its body, underscores in names become dashes."""
    message = EmailMessage(policy=SMTP)
    body = headers.pop("text", "Hello, it does not work.")
    html = headers.pop("html", None)
    fields = {"from_": f"Ada <{new_address()}>", "to": ADDRESS, "subject": "Help", "message_id": new_id()}
    for name, value in (fields | headers).items():
        if value is not None:
            message[name.rstrip("_").replace("_", "-")] = value
    message.set_content(body)
    if html:
        message.add_alternative(html, subtype="html")
    return message.as_bytes()


def new_address() -> str:
    """Each mail's sender is somebody else: the rate guard counts by sender."""
    return f"ada-{uuid4().hex}@customer.test"


def new_id() -> str:
    return f"<{uuid4().hex}@customer.test>"


def signed(body: bytes, *, secret: str = SECRET, timestamp: int | None = None) -> dict[str, str]:
    moment = int(time.time()) if timestamp is None else timestamp
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(moment),
        "webhook-signature": sign(secret, identity="msg_1", timestamp=moment, body=body),
        "content-type": "message/rfc822",
    }


async def post(client: httpx.AsyncClient, raw: bytes) -> httpx.Response:
    return await client.post("/v1/inbound/email", content=raw, headers=signed(raw))


async def deliver(client: httpx.AsyncClient, receiver: Receiver, raw: bytes) -> InboundMail:
    """Post a mail, run its job, and return its row."""
    response = await post(client, raw)
    assert response.status_code == 202, response.text
    identity = UUID(response.json()["id"])
    await receiver.handle(msgspec.json.encode({"id": identity}), 1)
    return await inbound(receiver._database, identity)


async def inbound(database: Database, identity: UUID) -> InboundMail:
    async with database.session() as session:
        statement = select(InboundMail).where(InboundMail.id == identity).options(undefer(InboundMail.raw))
        return (await session.scalars(statement)).one()


async def outgoing(database: Database, identity: UUID) -> OutgoingMail:
    async with database.session() as session:
        statement = select(OutgoingMail).where(OutgoingMail.id == identity).options(undefer(OutgoingMail.raw))
        return (await session.scalars(statement)).one()


async def jobs(database: Database, identity: UUID) -> list[bytes]:
    """Payloads of the queued jobs about a mail."""
    statement = text("select payload from pgqueuer where position(:id in payload) > 0 order by id")
    async with database.session() as session:
        return list(await session.scalars(statement, {"id": str(identity).encode()}))


async def events(database: Database, kind: str, subject: UUID | None = None) -> list[dict[str, Any]]:
    statement = text(
        "select subject_id, before, after, audit from event where type = :kind"
        " and (CAST(:subject AS uuid) is null or subject_id = :subject) order by number"
    )
    async with database.session() as session:
        rows = await session.execute(statement, {"kind": kind, "subject": subject})
        return [dict(row._mapping) for row in rows]

"""A person's mails can be exported, and erased without a trace of them."""

from __future__ import annotations

from uuid import UUID, uuid4

import msgspec
from sqlalchemy import text

from app.identity import SYSTEM
from app.identity import service as identity
from app.mail import MAIL_DATA
from app.mail.constants import SuppressionReason
from app.mail.service import suppress
from tests.mail.library import deliver, inbound, new_address, outgoing, post, write

BODY = "a sentence that only she wrote"
TABLES = (
    "inbound_mail",
    "outgoing_mail",
    "mail_suppression",
    "(select * from event where subject_type <> 'person')",  # those of the person are identity's to empty
)


async def holding(client, receiver, mailer, database):
    """A person with mails in and out, processed and not."""
    address = new_address()
    async with database.session() as session:
        person = await identity.create_person(session, principal=SYSTEM, name="Ada", email=address.upper())
    row = await deliver(client, receiver, write(from_=address, text=BODY))
    async with database.session() as session:
        sent = await mailer.send(
            session,
            template="reply",
            to=address,
            title=f"For {address}",
            context={"body": BODY, "author": "A"},
            person_id=person.id,
            scope="features",
        )
        await suppress(
            session, address, scope="x", reason=SuppressionReason.unsubscribed, source="link", actor=SYSTEM
        )
    return person, address, row, sent


async def test_the_export_has_every_mail(client, receiver, mailer, database):
    person, address, *_ = await holding(client, receiver, mailer, database)
    async with database.session() as session:
        exported = await MAIL_DATA.export(session, person.id)
    assert [each["sender"] for each in exported["received"]] == [address]
    assert BODY in exported["received"][0]["message"]
    assert [each["recipient"] for each in exported["sent"]] == [address]
    assert [each["scope"] for each in exported["suppressions"]] == ["x"]
    assert msgspec.json.encode(exported)


async def test_after_the_erasure_no_table_knows_the_address(client, receiver, mailer, deliverer, mailbox):
    database = receiver._database
    person, address, row, sent = await holding(client, receiver, mailer, database)
    async with database.session() as session:
        counts = await MAIL_DATA.erase(session, person.id)
    assert counts == {"received": 1, "sent": 1, "suppressions": 1}
    async with database.session() as session:
        for name in TABLES:
            statement = text(f"select count(*) from {name} t where lower(t::text) like :address")
            assert await session.scalar(statement, {"address": f"%{address}%"}) == 0, name
    assert (await inbound(database, row.id)).raw is None
    erased = await outgoing(database, sent.id)
    assert (erased.raw, erased.status) == (None, "erased")
    await deliverer.handle(msgspec.json.encode({"id": sent.id, "attempt": 0}), 1)
    assert mailbox.messages == []
    async with database.session() as session:
        assert await MAIL_DATA.erase(session, person.id) == {"received": 0, "sent": 0, "suppressions": 0}


async def test_a_mail_erased_before_its_job_ran_reaches_no_desk(client, receiver, desk, database):
    address = new_address()
    async with database.session() as session:
        person = await identity.create_person(session, principal=SYSTEM, name="Ada", email=address)
    first = await deliver(client, receiver, write(from_=address))
    async with database.session() as session:
        await MAIL_DATA.erase(session, person.id)
    await receiver.handle(msgspec.json.encode({"id": first.id}), 1)
    assert len(desk.received) == 1
    # A mail that is not read yet has no sender to be found by: it is worked through as any other.
    assert (await post(client, write(from_=address))).status_code == 202
    await receiver.handle(msgspec.json.encode({"id": uuid4()}), 1)  # and one that is not there is nobody's


async def test_who_has_no_address_takes_nobody_elses_waiting_mail_along(client, receiver):
    database = receiver._database
    response = await post(client, write(from_=new_address(), text=BODY))  # its sender is not read yet
    async with database.session() as session:
        nobody = await identity.create_person(session, principal=SYSTEM, name="No address")
    async with database.session() as session:
        assert not (await MAIL_DATA.export(session, nobody.id))["received"]
        counts = await MAIL_DATA.erase(session, nobody.id)
    assert counts == {"received": 0, "sent": 0, "suppressions": 0}
    assert (await inbound(database, UUID(response.json()["id"]))).raw is not None

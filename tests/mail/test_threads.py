"""Threading: by ids and tokens, never by the subject line, and only for who belongs to the thread."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from app.events import Subject
from app.identity import SYSTEM
from app.identity import service as identity
from app.mail import Receiver
from app.mail.tokens import read_reply_token, reply_token
from tests.mail.library import ADDRESS, CaseDesk, deliver, new_address, write

TOKEN_SECRET = "a secret of at least 24 bytes"


@pytest.fixture
async def first(client, receiver):
    """A case that a customer opened by mail."""
    return await deliver(client, receiver, write(from_=new_address()))


def token_address(subject_id: UUID) -> str:
    return f"support+{reply_token(TOKEN_SECRET, Subject('test_case', subject_id))}@desk.test"


@pytest.mark.parametrize(
    "by", ["in_reply_to", "references", "old_reference", "token", "token_upper", "cc", "delivered_to"]
)
async def test_an_answer_finds_its_thread(client, receiver, desk, first, by):
    ours = token_address(first.subject_id)
    headers = {
        "in_reply_to": {"in_reply_to": f"<{first.message_id}>"},
        "references": {"references": f"<{first.message_id}>"},
        "old_reference": {
            "references": f"<{first.message_id}> <unknown@x.test>",
            "in_reply_to": "<y@x.test>",
        },
        "token": {"to": ours},
        "token_upper": {"to": ours.upper()},
        "cc": {"to": "boss@customer.test", "cc": ours},
        "delivered_to": {"to": "undisclosed:;", "delivered_to": ours},
    }[by]
    row = await deliver(client, receiver, write(from_=first.sender, subject="Something else", **headers))
    assert (row.verdict, row.subject_id, row.reason) == ("accepted", first.subject_id, None)
    assert desk.received[-1][1] == Subject("test_case", first.subject_id)


async def test_the_same_subject_line_is_no_thread(client, receiver, first):
    row = await deliver(client, receiver, write(from_=first.sender, subject=f"Re: {first.title}"))
    assert (row.verdict, row.subject_id == first.subject_id) == ("accepted", False)


@pytest.mark.parametrize("by", ["message_id", "token"])
async def test_a_stranger_who_knows_an_id_or_a_token_opens_a_case_of_his_own(
    client, receiver, desk, first, by
):
    headers = (
        {"in_reply_to": f"<{first.message_id}>"}
        if by == "message_id"
        else {"to": token_address(first.subject_id)}
    )
    row = await deliver(client, receiver, write(**headers))
    assert (row.verdict, row.reason) == ("accepted", "stranger_to_thread")
    assert row.subject_id != first.subject_id
    mail, thread = desk.received[-1]
    assert (thread, mail.claimed) == (None, Subject("test_case", first.subject_id))


async def test_a_mail_that_its_domain_disowns_enters_no_thread_and_has_no_person(
    client, receiver, desk, first, database
):
    async with database.session() as session:
        await identity.create_person(session, principal=SYSTEM, name="Ada", email=first.sender)
    forged = write(
        from_=first.sender,
        in_reply_to=f"<{first.message_id}>",
        authentication_results="mx.desk.test; spf=pass; dmarc=fail (p=NONE) header.from=customer.test",
    )
    row = await deliver(client, receiver, forged)
    assert (row.subject_id == first.subject_id, row.person_id) == (False, None)
    assert desk.received[-1][0].claimed == Subject("test_case", first.subject_id)


async def test_who_the_desk_knows_may_write(client, receiver, desk, first):
    colleague = new_address()
    desk.participants[first.subject_id].add(colleague)
    row = await deliver(client, receiver, write(from_=colleague, in_reply_to=f"<{first.message_id}>"))
    assert row.subject_id == first.subject_id


async def test_who_we_wrote_to_may_answer(client, receiver, mailer, database):
    reader, case = new_address(), Subject("test_case", uuid4())
    async with database.session() as session:
        sent = await mailer.send(
            session,
            template="reply",
            to=reader,
            title="Case",
            context={"body": "b", "author": "A"},
            subject=case,
        )
    row = await deliver(client, receiver, write(from_=reader.upper(), in_reply_to=f"<{sent.message_id}>"))
    assert row.subject_id == case.id


async def test_a_stranger_cannot_take_over_a_message_id_that_others_refer_to(client, receiver, first):
    """He posts a mail of his own with the same id; the customer's next answer stays where it belongs."""
    await deliver(client, receiver, write(message_id=f"<{first.message_id}>", text="mine"))
    row = await deliver(client, receiver, write(from_=first.sender, in_reply_to=f"<{first.message_id}>"))
    assert row.subject_id == first.subject_id


async def test_the_sender_is_the_one_active_person_with_the_address(client, receiver, desk, database):
    alone, twice, gone, wild = new_address(), new_address(), new_address(), new_address()
    async with database.session() as session:
        account = await identity.upsert_account(session, f"mail-{uuid4()}", "Mail account")
        person = await identity.create_person(
            session, principal=SYSTEM, name="A", email=alone.upper(), account_id=account.id
        )
        for _ in range(2):
            await identity.create_person(session, principal=SYSTEM, name="B", email=twice)
        away = await identity.create_person(session, principal=SYSTEM, name="C", email=gone)
        await identity.update_person(session, away.id, principal=SYSTEM, active=False)
        await identity.create_person(session, principal=SYSTEM, name="D", email=wild)
    people = []
    for sender in (alone, twice, gone, "%" + wild[1:], "_" + wild[1:]):
        row = await deliver(client, receiver, write(from_=sender))
        people.append(row.person_id)
    assert people == [person.id, None, None, None, None]
    assert desk.received[0][0].account_id == account.id


async def test_the_desk_is_the_one_addressed_else_the_one_without_addresses(client, mail_settings, database):
    billing, rest = CaseDesk(("billing@desk.test",)), CaseDesk(())
    billing.name, rest.name, rest.subject_type = "billing", "rest", "other_case"
    receiver = Receiver(mail_settings, database, [rest, billing])
    named = [
        (await deliver(client, receiver, write(to=to))).desk
        for to in (
            "Billing@desk.test",
            "billing+vip@desk.test",
            "nobody@desk.test, billing@desk.test",
            ADDRESS,
        )
    ]
    assert named == ["billing", "billing", "billing", "rest"]


async def test_mail_for_no_desk_is_kept_and_says_so(client, receiver, desk):
    row = await deliver(client, receiver, write(to="nobody@desk.test"))
    assert (row.status, row.verdict, row.desk) == ("processed", "no_desk", None)
    assert row.raw


def test_a_reply_token_holds_for_its_secret_its_type_and_its_id_alone():
    case = Subject("ticket", uuid4())
    token = reply_token(TOKEN_SECRET, case)
    assert len(token) == 42
    assert read_reply_token(TOKEN_SECRET, token, types=["case", "ticket"]) == case
    assert read_reply_token(TOKEN_SECRET, token, types=["case"]) is None
    assert read_reply_token("another secret of 24 bytes", token, types=["ticket"]) is None
    for position in range(len(token)):
        changed = token[:position] + ("b" if token[position] != "b" else "c") + token[position + 1 :]
        assert read_reply_token(TOKEN_SECRET, changed, types=["ticket"]) is None
    for nonsense in ("", "x", "1" * 42, "\u00e4" * 42, token + "a"):
        assert read_reply_token(TOKEN_SECRET, nonsense, types=["ticket"]) is None


def test_the_longest_reply_address_is_within_the_limit_of_mail_addresses():
    local = token_address(uuid4()).partition("@")[0]
    assert len("x" * 20 + local.removeprefix("support")) <= 64

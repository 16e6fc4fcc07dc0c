"""Participants, and what the room knows about a person."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import msgspec
import pytest
from sqlalchemy import text

from app import conversations
from app.conversations.constants import MessageKind, ParticipantRole
from app.conversations.exceptions import ParticipantNotFoundError, TooManyParticipantsError
from app.exceptions import InvalidError
from app.identity import SYSTEM, Principal, PrincipalKind, Role
from app.identity import service as identity
from app.identity.exceptions import UnknownPersonError


@pytest.fixture
def add(database, people):
    async def run(conversation, role=ParticipantRole.cc, **who):
        async with database.session() as session:
            return await conversations.participants.add(
                session, conversation, actor=people.agent, role=role, **who
            )

    return run


async def shown(database, conversation):
    async with database.session() as session:
        return await conversations.participants.show_all(session, conversation)


class TestParticipants:
    async def test_adding_is_idempotent_also_at_once(self, database, opened, people, add):
        conversation = await opened()
        added = await asyncio.gather(
            *(
                add(conversation, email=each)
                for each in ("Bo@Example.com", "bo@example.com", "BO@example.com")
            )
        )
        assert len({each.id for each in added}) == 1
        rows = await shown(database, conversation)
        assert [(each.role, each.name, each.email) for each in rows] == [
            ("requester", "The customer", None),
            ("cc", None, "bo@example.com"),
        ]

    async def test_a_new_requester_or_assignee_takes_the_former_ones_place(
        self, database, opened, people, add
    ):
        conversation = await opened()
        for person in (people.agent, people.lead):
            await add(conversation, ParticipantRole.assignee, person_id=person.person_id)
        await add(conversation, ParticipantRole.requester, person_id=people.stranger.person_id)
        rows = await shown(database, conversation)
        assert {each.role: each.person_id for each in rows} == {
            "assignee": people.lead.person_id,
            "requester": people.stranger.person_id,
        }
        async with database.session() as session:
            subject = await session.scalar(
                text("select requester_id from conversation where id = :id"), {"id": conversation.id}
            )
        assert subject == people.stranger.person_id

    async def test_what_is_no_participant_is_refused(self, opened, people, add):
        conversation = await opened()
        both = {"person_id": people.agent.person_id, "email": "a@example.com"}
        for who in (
            {},
            both,
            {"email": "no address"},
            {"email": "a\0@example.com"},
            {"email": "a" * 300 + "@x"},
        ):
            with pytest.raises(InvalidError):
                await add(conversation, **who)
        with pytest.raises(UnknownPersonError):
            await add(conversation, person_id=uuid4())

    async def test_their_number_is_bounded(self, opened, add, monkeypatch):
        monkeypatch.setattr("app.conversations.service.participants.PARTICIPANTS_MAX", 2)
        conversation = await opened()
        await add(conversation, email="a@example.com")
        with pytest.raises(TooManyParticipantsError):
            await add(conversation, email="b@example.com")

    async def test_only_one_of_this_conversation_can_be_removed(self, database, opened, people, add):
        conversation, other = await opened(), await opened()
        added = await add(conversation, email="a@example.com")
        async with database.session() as session:
            with pytest.raises(ParticipantNotFoundError):
                await conversations.participants.remove(session, other, added.id, actor=people.agent)
            await conversations.participants.remove(session, conversation, added.id, actor=people.agent)
        assert [each.role for each in await shown(database, conversation)] == ["requester"]

    async def test_mail_goes_to_who_may_read_it_wants_it_and_did_not_write_it(
        self, database, opened, people, add
    ):
        conversation = await opened()
        await add(conversation, ParticipantRole.assignee, person_id=people.agent.person_id)
        await add(conversation, ParticipantRole.watcher, person_id=people.agent.person_id)
        await add(conversation, email="bo@example.com")
        await add(conversation, email="gone@example.com")
        async with database.session() as session:
            changed = await conversations.participants.unsubscribe(
                session, conversation, actor=SYSTEM, email="Gone@example.com"
            )
            assert changed == 1

        async def to(kind, besides=None):
            async with database.session() as session:
                found = await conversations.participants.recipients(
                    session, conversation, kind=kind, besides=besides
                )
            return [each.address.split("@")[0].split("-")[0] for each in found]

        assert await to(MessageKind.public) == ["agent", "bo", "customer"]
        assert await to(MessageKind.public, people.customer.person_id) == ["agent", "bo"]
        assert await to(MessageKind.note) == ["agent"]

    async def test_events_hold_no_address(self, opened, add, events_of):
        conversation = await opened()
        await add(conversation, email="bo@example.com")
        last = (await events_of(conversation.subject_id))[-1]
        assert (last["type"], last["customer_visible"]) == ("participant.added", False)
        assert "bo@" not in repr(last)


class TestPersonalData:
    @pytest.fixture
    async def person(self, database):
        async with database.session() as session:
            made = await identity.upsert_person(
                session,
                f"p-{uuid4()}",
                name="Eve Erased",
                email=f"Eve-{uuid4().hex[:6]}@example.com",
                role=Role.customer,
            )
        return Principal(
            kind=PrincipalKind.token, role=Role.customer, person_id=made.id, account_id=None, name=made.name
        ), made.email

    @pytest.fixture
    async def traces(self, opened, post, people, upload, add, person):  # noqa: PLR0917 - fixtures
        """Her conversation and another one, with everything in them that is hers."""
        eve, address = person
        hers, other = await opened(eve), await opened()
        await add(other, person_id=eve.person_id)
        await add(other, email=address)
        await post(hers, eve, "I am Eve", attachments=[await upload(eve, b"Eve", "eve.txt")])
        await post(hers, people.agent, "Thank you")
        await post(other, SYSTEM, "Eve by mail", sender_email=address)
        await upload(eve, b"never sent")
        return hers, other

    async def test_an_erased_person_is_nowhere_and_the_others_words_stay(
        self, database, people, person, traces, events_of
    ):
        eve, _ = person
        hers, other = traces
        data = conversations.CONVERSATIONS_DATA
        async with database.session() as session:
            exported = await data.export(session, eve.person_id)
        msgspec.json.encode(exported)
        assert {kind: len(rows) for kind, rows in exported.items()} == {
            "conversations": 1,
            "messages": 1,
            "attachments": 2,
            "participations": 3,
        }
        assert exported["messages"][0]["body"] == "I am Eve"
        async with database.session() as session:
            receipt = await data.erase(session, eve.person_id)
        assert receipt == {"conversations": 2, "messages": 2, "attachments": 2, "participations": 3}
        async with database.session() as session:
            again = await data.erase(session, eve.person_id)
            left = await data.export(session, eve.person_id)
            texts = await session.scalars(
                text("select body_raw from message where conversation_id = any (:ids) order by created_at"),
                {"ids": [hers.id, other.id]},
            )
            page = await conversations.list_messages(session, hers, principal=people.agent, limit=10)
        assert set(again.values()) == {0}
        assert set(map(len, left.values())) == {0}
        assert texts.all() == ["", "Thank you", ""]
        assert (page.items[0].author.name, page.items[0].author.person_id) == (None, None)
        assert page.items[0].redacted_at is not None
        for conversation in (hers, other):
            last = (await events_of(conversation.subject_id))[-1]
            assert (last["type"], last["audit"], last["person_id"]) == (
                "conversation.erased",
                True,
                None if conversation is hers else people.customer.person_id,
            )

    async def test_messages_posted_meanwhile_are_erased_and_nobody_waits_for_ever(
        self, database, opened, post, people, person
    ):
        eve, _ = person
        conversation = await opened(eve)

        async def erase():
            async with database.session() as session:
                lock = text("select from person where id = :id for update")  # as an erasure begins
                await session.execute(lock, {"id": eve.person_id})
                await conversations.CONVERSATIONS_DATA.erase(session, eve.person_id)

        await asyncio.gather(
            *(post(conversation, people.agent, "hi", on_behalf_of=eve.person_id) for _ in range(8)),
            *(erase() for _ in range(4)),
        )
        await erase()
        async with database.session() as session:
            left = await conversations.CONVERSATIONS_DATA.export(session, eve.person_id)
        assert set(map(len, left.values())) == {0}

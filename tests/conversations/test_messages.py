"""Messages: who reads which, what a post means for a desk, numbers, edits, moves."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest
from sqlalchemy import text

from app import conversations
from app.conversations.constants import BodyFormat, MessageKind, ParticipantRole
from app.conversations.exceptions import (
    ConversationExistsError,
    ConversationNotFoundError,
    EmptyMessageError,
    MessageExistsError,
    MessageNotFoundError,
    MessageRedactedError,
    MessageTooLargeError,
    UnknownReplyError,
)
from app.exceptions import InvalidError, PermissionDeniedError
from app.identity import SYSTEM, Principal, PrincipalKind, Role
from app.identity.exceptions import UnknownPersonError
from tests.conversations.desk import SUBJECT, subject_of

MACHINE = Principal(
    kind=PrincipalKind.api_key, role=Role.agent, person_id=None, account_id=None, name="bot", key_id=uuid4()
)
PAN = "4111 1111 1111 1111"


async def numbers(database, conversation, principal, **options):
    async with database.session() as session:
        page = await conversations.list_messages(
            session, conversation, principal=principal, **{"limit": 100} | options
        )
    return [each.number for each in page.items]


class TestMeaning:
    async def test_the_first_reply_is_the_first_public_message_by_a_person_of_the_staff(
        self, opened, post, people
    ):
        conversation = await opened()
        asked = await post(conversation, people.customer)
        assert (asked.is_customer_message, asked.starts_waiting, asked.is_reply) == (True, True, False)
        for options in ({"kind": MessageKind.note}, {"automatic": True}, {"kind": MessageKind.system}):
            posted = await post(conversation, people.agent, **options)
            assert not posted.is_reply, options
        for author in (MACHINE, SYSTEM):
            posted = await post(conversation, author)
            assert posted.message.automatic
            assert not posted.is_reply
        assert posted.conversation.first_reply_at is None
        assert posted.conversation.unanswered_since == asked.message.created_at
        first = await post(conversation, people.agent)
        assert (first.is_reply, first.is_first_reply) == (True, True)
        assert first.conversation.first_reply_at == first.message.created_at
        assert first.conversation.unanswered_since is None
        second = await post(conversation, people.lead)
        assert (second.is_reply, second.is_first_reply) == (True, False)
        assert second.conversation.first_reply_at == first.message.created_at
        assert second.conversation.last_staff_reply_at == second.message.created_at

    async def test_waiting_begins_with_the_oldest_unanswered_message(self, opened, post, people):
        conversation = await opened()
        first = await post(conversation, people.customer)
        second = await post(conversation, people.customer)
        assert (first.starts_waiting, second.starts_waiting) == (True, False)
        assert second.conversation.unanswered_since == first.message.created_at
        assert second.conversation.last_customer_message_at == second.message.created_at
        absent = await post(conversation, people.customer, automatic=True)
        assert not absent.is_customer_message
        await post(conversation, people.agent)
        again = await post(conversation, people.customer)
        assert again.starts_waiting
        assert again.conversation.unanswered_since == again.message.created_at

    async def test_a_requester_of_the_staff_asks_and_does_not_answer_themselves(self, opened, post, people):
        conversation = await opened(people.agent)
        assert (await post(conversation, people.agent)).is_customer_message
        assert (await post(conversation, people.lead)).is_first_reply

    async def test_words_entered_for_a_customer_are_the_customers(self, opened, post, people):
        conversation = await opened()
        posted = await post(conversation, people.agent, on_behalf_of=people.customer.person_id)
        assert posted.is_customer_message
        assert posted.message.author_person_id == people.customer.person_id
        with pytest.raises(PermissionDeniedError):
            await post(conversation, people.customer, on_behalf_of=people.agent.person_id)
        with pytest.raises(UnknownPersonError):
            await post(conversation, people.agent, on_behalf_of=uuid4())

    async def test_mail_of_somebody_unknown_is_a_customers_message(self, opened, post, people):
        posted = await post(await opened(), SYSTEM, sender_email="Bo@Example.com", channel="email")
        assert posted.is_customer_message
        assert not posted.message.automatic
        assert posted.message.author_email == "bo@example.com"


class TestAccess:
    async def test_customers_never_see_notes_and_system_messages(self, database, opened, post, people):
        conversation = await opened()
        for kind in MessageKind:
            await post(conversation, people.agent, kind=kind)
        assert await numbers(database, conversation, people.customer) == [1]
        assert await numbers(database, conversation, people.agent) == [1, 2, 3]

    async def test_notes_of_customers_are_refused(self, opened, post, people):
        for kind in (MessageKind.note, MessageKind.system):
            with pytest.raises(PermissionDeniedError):
                await post(await opened(), people.customer, kind=kind)

    async def test_a_conversation_is_its_requesters_its_participants_and_its_accounts(
        self, database, opened, people
    ):
        conversation = await opened()
        subject = subject_of(conversation.subject_id)

        async def sees(principal) -> bool:
            async with database.session() as session:
                try:
                    await conversations.get(session, subject, principal=principal)
                except ConversationNotFoundError:
                    return False
                return True

        assert await sees(people.customer)
        assert await sees(people.colleague), "may see the account's"
        assert not await sees(people.neighbour), "same account, but may not see it"
        assert not await sees(people.stranger)
        assert await sees(people.agent)
        nobody = Principal(
            kind=PrincipalKind.token,
            role=Role.customer,
            person_id=None,
            account_id=None,
            name="",
            sees_account=True,
        )
        assert not await sees(nobody)
        async with database.session() as session:
            added = await conversations.participants.add(
                session,
                conversation,
                actor=people.agent,
                role=ParticipantRole.cc,
                person_id=people.stranger.person_id,
            )
        assert await sees(people.stranger)
        async with database.session() as session:
            await conversations.participants.remove(session, conversation, added.id, actor=people.agent)
        assert not await sees(people.stranger)

    async def test_a_conversation_without_requester_and_account_is_no_customers(
        self, database, opened, people
    ):
        conversation = await opened(None)
        async with database.session() as session:
            for principal in (people.customer, people.colleague):
                with pytest.raises(ConversationNotFoundError):
                    await conversations.get(session, subject_of(conversation.subject_id), principal=principal)

    async def test_strangers_post_nothing(self, opened, post, people):
        with pytest.raises(ConversationNotFoundError):
            await post(await opened(), people.stranger)

    async def test_a_subject_has_one_conversation(self, database, opened, people):
        conversation = await opened()
        async with database.session() as session:
            with pytest.raises(ConversationExistsError) as caught:
                await conversations.open_conversation(
                    session, subject_of(conversation.subject_id), actor=people.agent
                )
        assert caught.value.extra["id"] == conversation.id


class TestPosting:
    async def test_numbers_have_no_gap_and_no_twin_however_many_post_at_once(
        self, database, opened, post, people
    ):
        conversation = await opened()
        authors = [people.customer, people.agent, people.lead]
        await asyncio.gather(*(post(conversation, authors[index % 3]) for index in range(30)))
        assert sorted(await numbers(database, conversation, people.agent)) == list(range(1, 31))
        assert await numbers(database, conversation, people.agent) == list(range(1, 31)), (
            "times grow with them"
        )

    async def test_a_post_that_is_rolled_back_leaves_nothing(self, database, opened, post, people, events_of):
        conversation = await opened()
        async with database.session() as session:
            await conversations.post(session, conversation, author=people.customer, body="x")
            await session.rollback()
        assert (await post(conversation, people.customer)).message.number == 1
        types = [each["type"] for each in await events_of(conversation.subject_id)]
        assert types == ["conversation.opened", "message.posted"]

    async def test_each_post_is_one_event_without_its_text_visible_exactly_if_public(
        self, opened, post, people, events_of
    ):
        conversation = await opened()
        await post(conversation, people.customer, "secret words")
        await post(conversation, people.agent, "secret words", kind=MessageKind.note)
        events = (await events_of(conversation.subject_id))[1:]
        assert [each["customer_visible"] for each in events] == [True, False]
        assert {each["person_id"] for each in events} == {people.customer.person_id}
        assert {each["subject_type"] for each in events} == {SUBJECT}
        assert "secret" not in repr(events)
        assert events[1]["after"]["kind"] == "note"

    @pytest.mark.parametrize("body", ["", "  \n", "\0"])
    async def test_an_empty_message_is_refused(self, opened, post, people, body):
        with pytest.raises(EmptyMessageError):
            await post(await opened(), people.customer, body)

    async def test_length_counts_in_bytes(self, opened, post, people):
        conversation = await opened()
        await post(conversation, people.customer, "x" * 65536, body_format=BodyFormat.text)
        for body in ("x" * 65537, "\u00fc" * 32769):
            with pytest.raises(MessageTooLargeError):
                await post(conversation, people.customer, body)
        with pytest.raises(MessageTooLargeError):
            await post(conversation, people.customer, "x" * (512 * 1024 + 1), body_format=BodyFormat.html)

    async def test_card_numbers_are_nowhere_in_the_row_however_they_are_marked_up(
        self, database, opened, post, people
    ):
        conversation = await opened()
        for body, body_format in (
            (f"Pay with {PAN}.", BodyFormat.markdown),
            ("4111**1111**1111 1111", BodyFormat.markdown),
            ("4111&#49;11111111111", BodyFormat.markdown),
            ("<p>4111<b>1111</b>11<!-- -->111111</p>", BodyFormat.html),
            (f"<img alt='{PAN}' src=x>", BodyFormat.html),
        ):
            posted = await post(conversation, people.customer, body, body_format=body_format)
            async with database.session() as session:
                row = (
                    await session.execute(
                        text("select * from message where id = :id"), {"id": posted.message.id}
                    )
                ).one()
            digits = "".join(
                char for char in repr((row.body_raw, row.body_html, row.body_text)) if char.isdecimal()
            )
            assert "4111111" not in digits, body
            assert "ending 1111" in row.body_text

    async def test_nul_and_lone_surrogates_are_stored_without_error(self, opened, post, people):
        posted = await post(await opened(), people.customer, "a\0b\ud800c")
        assert posted.message.body_raw == "ab\ufffdc"

    async def test_a_reply_is_to_a_message_of_the_conversation_that_the_author_sees(
        self, opened, post, people
    ):
        conversation, other = await opened(), await opened()
        first = await post(conversation, people.customer)
        note = await post(conversation, people.agent, kind=MessageKind.note)
        reply = await post(conversation, people.agent, in_reply_to=first.message.id)
        assert reply.message.in_reply_to == first.message.id
        for place, wrong in ((other, first), (conversation, note)):
            with pytest.raises(UnknownReplyError):
                await post(place, people.customer, in_reply_to=wrong.message.id)

    async def test_an_email_is_stored_once_also_when_it_comes_twice_at_once(self, opened, post, people):
        conversation, message_id = await opened(), f"<{uuid4()}@example.com>"
        outcomes = await asyncio.gather(
            *(post(conversation, people.customer, email_message_id=message_id) for _ in range(4)),
            return_exceptions=True,
        )
        posted = [each for each in outcomes if isinstance(each, conversations.Posted)]
        refused = [each for each in outcomes if isinstance(each, MessageExistsError)]
        assert (len(posted), len(refused)) == (1, 3)
        assert {each.extra["id"] for each in refused} == {posted[0].message.id}

    async def test_an_email_is_found_by_its_message_id(self, database, opened, post, people):
        message_id = f"<{uuid4()}@example.com>"
        posted = await post(await opened(), people.customer, email_message_id=message_id)
        async with database.session() as session:
            found = await conversations.find_by_email(session, ["<none@example.com>", message_id])
            assert found is not None
            assert found.id == posted.message.id
            assert await conversations.find_by_email(session, []) is None

    @pytest.mark.parametrize("message_id", ["", "<\0@x>", "x" * 999])
    async def test_odd_message_ids_are_refused(self, opened, post, people, message_id):
        with pytest.raises(InvalidError):
            await post(await opened(), people.customer, email_message_id=message_id)


class TestChanging:
    async def test_its_author_and_leads_edit_a_message_and_nobody_else(
        self, database, opened, post, people, events_of
    ):
        conversation = await opened()
        posted = await post(conversation, people.agent, "first")

        async def edit(actor, body="second"):
            async with database.session() as session:
                return await conversations.edit(
                    session, conversation, posted.message.id, actor=actor, body=body
                )

        edited = await edit(people.agent, f"**second** {PAN}")
        assert (edited.version, edited.number) == (2, 1)
        assert edited.edited_at is not None
        assert "<strong>second</strong>" in edited.body_html
        assert PAN not in edited.body_raw
        assert (await edit(people.lead)).version == 3
        for actor in (
            people.customer,
            Principal(
                **{f: getattr(people.agent, f) for f in ("kind", "role", "account_id", "name")},
                person_id=people.stranger.person_id,
            ),
        ):
            with pytest.raises(PermissionDeniedError):
                await edit(actor)
        with pytest.raises(EmptyMessageError):
            await edit(people.agent, " ")
        with pytest.raises(ConversationNotFoundError):
            await edit(people.stranger)
        assert [each["type"] for each in await events_of(conversation.subject_id)][2:] == [
            "message.edited"
        ] * 2

    async def test_a_note_is_no_message_to_a_customer(self, database, opened, post, people):
        conversation = await opened()
        note = await post(conversation, people.agent, kind=MessageKind.note)
        async with database.session() as session:
            with pytest.raises(MessageNotFoundError):
                await conversations.edit(
                    session, conversation, note.message.id, actor=people.customer, body="x"
                )

    async def test_of_two_editors_who_saw_the_same_version_one_is_refused(
        self, database, opened, post, people
    ):
        conversation = await opened()
        posted = await post(conversation, people.agent)

        def check(version: int) -> None:
            if version != 1:
                raise LookupError(version)

        async def edit(body):
            async with database.session() as session:
                await conversations.edit(
                    session, conversation, posted.message.id, actor=people.agent, body=body, check=check
                )

        outcomes = await asyncio.gather(edit("a"), edit("b"), return_exceptions=True)
        assert sorted(type(each).__name__ for each in outcomes) == ["LookupError", "NoneType"]

    async def test_redacting_removes_text_and_files_for_good(self, database, sent, people, events_of):
        conversation, posted, file = await sent("my password")

        async def redact(actor):
            async with database.session() as session:
                return await conversations.redact(session, conversation, posted.message.id, actor=actor)

        with pytest.raises(PermissionDeniedError):
            await redact(people.customer)
        redacted = await redact(people.agent)
        assert (redacted.body_raw, redacted.body_html, redacted.body_text) == ("", "", "")
        assert (await redact(people.agent)).version == redacted.version, "once more changes nothing"
        async with database.session() as session:
            assert not await session.scalar(
                text("select count(*) from attachment where id = :id"), {"id": file}
            )
            with pytest.raises(MessageRedactedError):
                await conversations.edit(
                    session, conversation, posted.message.id, actor=people.customer, body="again"
                )
        last = (await events_of(conversation.subject_id))[-1]
        assert (last["type"], last["audit"]) == ("message.redacted", True)


class TestMoving:
    async def test_a_merge_and_its_undo_leave_everything_as_it_was(
        self, database, opened, post, people, upload
    ):
        source, target = await opened(), await opened()
        file = await upload(people.customer)
        asked = await post(source, people.customer, attachments=[file])
        await post(target, people.customer)
        await post(target, people.agent)
        replied = await post(source, people.agent)
        before = await self.state(database, source, target)
        ids = [asked.message.id, replied.message.id]
        async with database.session() as session:
            moved = await conversations.move(session, ids, to=target, actor=people.agent)
        assert [each.number for each in moved] == [3, 4]
        assert await numbers(database, target, people.customer) == [3, 1, 2, 4], "by their times"
        assert await numbers(database, source, people.customer) == []
        merged = (await self.state(database, source, target))[1]
        assert merged["first_reply_at"] == before[1]["first_reply_at"]
        assert merged["last_staff_reply_at"] == replied.message.created_at
        async with database.session() as session:
            assert (
                await session.scalar(
                    text("select conversation_id from attachment where id = :id"), {"id": file}
                )
                == target.id
            )
            await conversations.move(session, ids, to=source, actor=people.agent)
        assert await self.state(database, source, target) == before
        assert await numbers(database, source, people.customer) == [1, 2]
        assert (await post(target, people.agent)).message.number == 5, "a number is never given twice"

    @staticmethod
    async def state(database, *which):
        statement = text(
            "select last_message_at, last_customer_message_at, last_staff_reply_at, first_reply_at,"
            " unanswered_since from conversation where id = :id"
        )
        async with database.session() as session:
            return [
                dict((await session.execute(statement, {"id": each.id})).mappings().one()) for each in which
            ]

    async def test_moves_against_each_other_end_without_deadlock(self, database, opened, post, people):
        one, two = await opened(), await opened()
        here = [(await post(one, people.customer)).message.id for _ in range(3)]
        there = [(await post(two, people.customer)).message.id for _ in range(3)]

        async def move(ids, to):
            async with database.session() as session:
                await conversations.move(session, ids, to=to, actor=people.agent)

        for _ in range(3):
            await asyncio.gather(
                move(here, two), move(there, one), post(one, people.agent), post(two, people.agent)
            )
            await asyncio.gather(move(here, one), move(there, two))
        async with database.session() as session:
            pairs = (
                await session.execute(
                    text("select id, conversation_id, number from message where id = any (:ids)"),
                    {"ids": here},
                )
            ).all()
        assert {row.conversation_id for row in pairs} == {one.id}
        assert sorted(row.number for row in pairs) == [1, 2, 3]

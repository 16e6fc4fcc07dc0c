"""Who has a case open: what the others see, what is told, and when it is forgotten."""

from __future__ import annotations

import asyncio
import random
from uuid import uuid4

import pytest
from sqlalchemy import text

from app.events import Subject, announce
from app.identity import SYSTEM, Principal, PrincipalKind, Role
from app.identity import service as identity
from app.identity.exceptions import PersonDeactivatedError
from app.presence import PRESENCE_DATA, State, beat, leave, others, purge
from app.presence.constants import LIFETIME, SHOWN_MAX
from tests.presence.conftest import named

VIEWING, REPLYING = State.viewing, State.replying


@pytest.fixture
def say(database, subject):
    """``await say(viewer, VIEWING)`` is a beat in a transaction of its own."""

    async def say(principal, state=VIEWING, about=subject):
        async with database.session() as session:
            return await beat(session, about, principal=principal, state=state)

    return say


@pytest.fixture
def see(database, subject):
    async def see(principal, about=subject):
        async with database.session() as session:
            return await others(session, about, principal=principal)

    return see


@pytest.fixture
def close(database, subject):
    async def close(principal):
        async with database.session() as session:
            await leave(session, subject, principal=principal)

    return close


@pytest.fixture
def shift(database, subject):
    """``await shift(viewer, "- interval '1 minute'")`` moves when they were last heard of."""

    async def shift(principal, by):
        async with database.session() as session:
            statement = text(
                f"update presence set since = since {by}, expires_at = expires_at {by}"
                " where subject_id = :id and viewer_id = :viewer"
            )
            await session.execute(statement, {"id": subject.id, "viewer": principal.person_id})

    return shift


async def test_each_sees_the_others_and_never_themselves(viewer, say, see):
    ada, ben = await viewer("Ada"), await viewer("Ben")
    assert await say(ada) == []
    assert named(await say(ben, REPLYING)) == {"Ada": "viewing"}
    assert named(await say(ada)) == {"Ben": "replying"}
    assert named(await see(await viewer("Cy"))) == {"Ada": "viewing", "Ben": "replying"}
    assert await see(ada, Subject("test_case", uuid4())) == []


async def test_the_same_id_of_another_kind_is_another_case(viewer, say, see, subject):
    ada, ben = await viewer("Ada"), await viewer("Ben")
    await say(ada)
    assert await see(ben, Subject("other_case", subject.id)) == []


async def test_a_beat_that_changes_nothing_lengthens_and_tells_nothing(
    *, viewer, say, see, shift, ear, subject
):
    ada, ben = await viewer("Ada"), await viewer("Ben")
    await say(ada)
    await shift(ada, "- interval '30 seconds'")
    (before,) = await see(ben)
    await say(ada)
    (after,) = await see(ben)
    assert after.since == before.since
    assert after.expires_at - before.expires_at >= LIFETIME - (before.expires_at - before.since)
    assert await ear.states(subject) == ["viewing"]


async def test_who_begins_to_reply_stops_and_leaves_is_told_of_each_time(viewer, say, close, ear, subject):
    ada = await viewer("Ada")
    for state in (VIEWING, REPLYING, REPLYING, VIEWING):
        await say(ada, state)
    await close(ada)
    await close(ada)
    told = await ear.about(subject)
    assert [each["state"] for each in told] == ["viewing", "replying", "viewing", "left"]
    assert {each["viewer_id"] for each in told} == {str(ada.person_id)}
    assert {each["name"] for each in told} == {"Ada"}
    assert told[0]["subject"] == {"type": "test_case", "id": str(subject.id)}
    assert [each["since"] for each in told] == sorted(each["since"] for each in told)


async def test_who_was_never_there_leaves_without_a_word(viewer, close, ear, subject):
    await close(await viewer())
    assert await ear.states(subject) == []


async def test_beats_of_one_viewer_at_once_tell_once(viewer, say, see, ear, subject):
    ada, ben = await viewer("Ada"), await viewer("Ben")
    await asyncio.gather(*(say(ada) for _ in range(20)))
    await asyncio.gather(*(say(ada, REPLYING) for _ in range(20)))
    assert await ear.states(subject) == ["viewing", "replying"]
    assert named(await see(ben)) == {"Ada": "replying"}


async def test_a_beat_that_is_rolled_back_has_not_been(viewer, database, see, ear, subject):
    ada, ben = await viewer("Ada"), await viewer("Ben")
    with pytest.raises(LookupError):  # noqa: PT012 - the block is the transaction
        async with database.session() as session:
            await beat(session, subject, principal=ada, state=VIEWING)
            raise LookupError
    assert await see(ben) == []
    assert await ear.states(subject) == []


async def test_who_is_not_heard_of_for_45_seconds_is_gone_and_comes_back_as_new(
    *, viewer, say, see, shift, ear, subject
):
    ada, ben = await viewer("Ada"), await viewer("Ben")
    await say(ada)
    await shift(ada, "- interval '44 seconds'")
    assert named(await see(ben)) == {"Ada": "viewing"}
    await shift(ada, "- interval '1 second'")
    assert await see(ben) == []
    assert await say(ben) == []
    await say(ada)
    (back,) = await see(ben)
    assert back.expires_at - back.since == LIFETIME
    assert [each["name"] for each in await ear.about(subject)] == ["Ada", "Ben", "Ada"]


async def test_purges_side_by_side_say_once_who_has_left(*, viewer, database, say, shift, ear, subject):
    gone, here = await viewer("Ada"), await viewer("Ben")
    await say(gone)
    await say(here)
    await shift(gone, "- interval '1 minute'")
    assert sum(await asyncio.gather(*(purge(database) for _ in range(5)))) == 1
    told = [(each["name"], each["state"]) for each in await ear.about(subject)]
    assert told == [("Ada", "viewing"), ("Ben", "viewing"), ("Ada", "left")]


async def test_a_purge_does_not_take_who_beats_just_then(*, viewer, database, say, see, shift, ear, subject):
    ada, ben = await viewer("Ada"), await viewer("Ben")
    await say(ada)
    await shift(ada, "- interval '1 minute'")
    async with database.session() as session:
        await beat(session, subject, principal=ada, state=VIEWING)
        async with asyncio.timeout(5):
            assert await purge(database) == 0
    assert named(await see(ben)) == {"Ada": "viewing"}
    assert "left" not in await ear.states(subject)


async def test_any_sequence_is_told_so_that_a_listener_knows_who_is_there(
    *, viewer, database, say, see, close, shift, ear, subject
):
    """What a client folds from the frames alone is what the list says, whatever happens in between."""
    people = [await viewer(name) for name in ("Ada", "Ben", "Cy")]
    chance = random.Random(7)
    for _ in range(60):
        one = chance.choice(people)
        match chance.randrange(5):
            case 0:
                await close(one)
            case 1:
                await shift(one, "- interval '1 minute'")
                await purge(database)
            case _:
                await say(one, chance.choice((VIEWING, REPLYING)))
    folded: dict[str, str] = {}
    told = await ear.about(subject)
    for each in told:
        assert folded.get(each["name"], "left") != each["state"], "told without a change"
        folded[each["name"]] = each["state"]
    there = {name: state for name, state in folded.items() if state != "left"}
    assert there == named(await see(await viewer("Dan")))
    assert len(told) > 20


async def test_a_key_without_a_person_is_shown_by_its_name(viewer, say, see):
    key = Principal(
        kind=PrincipalKind.api_key,
        role=Role.agent,
        person_id=None,
        account_id=None,
        name="A robot",
        key_id=uuid4(),
    )
    await say(key)
    (seen,) = await see(await viewer())
    assert (seen.viewer_id, seen.name) == (key.key_id, "A robot")


async def test_the_system_looks_at_nothing(say):
    with pytest.raises(ValueError, match="system"):
        await say(SYSTEM)


async def test_of_very_many_viewers_the_longest_there_are_shown(viewer, database, see, subject):
    async with database.session() as session:
        statement = """
            insert into presence select :type, :id, uuidv7(), 'Viewer ' || n, 'viewing',
                now() - n * interval '1 second', now() + interval '45 seconds'
            from generate_series(1, 60) n"""
        await session.execute(text(statement), {"type": subject.type, "id": subject.id})
    names = [each.name for each in await see(await viewer())]
    assert names == [f"Viewer {n}" for n in range(60, 60 - SHOWN_MAX, -1)]


async def test_the_longest_name_of_the_widest_letters_is_told(viewer, say, ear, subject):
    name = "\U0001f469" * 200
    await say(await viewer(name))
    assert [each["name"] for each in await ear.about(subject)] == [name]


async def test_what_is_too_long_to_be_told_is_refused_before_it_is_sent(database, subject):
    async with database.session() as session:
        await announce(session, "test", subject=subject, data={"x": "a" * 6_500})
        with pytest.raises(ValueError, match="7,000"):
            await announce(session, "test", subject=subject, data={"x": "ä" * 3_500})


async def test_no_event_is_recorded_and_nothing_is_kept_over_a_crash(viewer, database, say, close, subject):
    ada = await viewer()
    await say(ada)
    await close(ada)
    async with database.session() as session:
        events = await session.scalar(
            text("select count(*) from event where subject_id = :id"), {"id": subject.id}
        )
        kind = await session.scalar(text("select relpersistence from pg_class where relname = 'presence'"))
    assert (events, kind) == (0, b"u")


async def test_an_erased_person_is_nowhere_and_cannot_come_back(viewer, database, say, see, subject):
    ada, ben = await viewer("Ada"), await viewer("Ben")
    await say(ada)
    await say(ben)
    async with database.session() as session:
        exported = await PRESENCE_DATA.export(session, ada.person_id)
        assert exported == {"open": [{"subject_type": "test_case", "subject_id": subject.id}]}
    async with database.session() as session:
        person = await identity.lock_for_erasure(session, ada.person_id)
        late = asyncio.create_task(say(ada, REPLYING))
        await _somebody_waits(session)
        assert await PRESENCE_DATA.erase(session, ada.person_id) == {"open": 1}
        await identity.erase_person(session, person)
    with pytest.raises(PersonDeactivatedError):
        await late
    assert await see(ben) == []
    assert named(await see(await viewer())) == {"Ben": "viewing"}


async def _somebody_waits(session) -> None:
    waits = "select exists (select from pg_locks where not granted)"
    async with asyncio.timeout(5):
        while not await session.scalar(text(waits)):  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.01)

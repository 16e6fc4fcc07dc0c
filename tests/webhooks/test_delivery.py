"""Messages arrive: signed, in order for each subject, at least once, whatever the receiver does."""

from __future__ import annotations

import asyncio
import json
import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from standardwebhooks import Webhook, WebhookVerificationError

from app.database import is_connection_lost
from app.events import Subject, forget
from app.identity import SYSTEM
from app.webhooks.client import Outcome
from app.webhooks.constants import RETRIES, SECRETS_MAX, DeliveryError
from app.webhooks.dispatcher import LISTENER
from app.webhooks.service import endpoints, queue
from app.webhooks.service.fanout import advance, fan_out
from app.webhooks.service.messages import body_of
from tests.rag.library import until
from tests.webhooks.receiver import Message, accept, receiving


def in_order(messages: list[Message]) -> dict[str, list[int]]:
    """Numbers by subject, repetitions of the same message left out."""
    numbers: dict[str, list[int]] = defaultdict(list)
    known: set[str] = set()
    for each in messages:
        if each.id not in known:
            known.add(each.id)
            numbers[each.subject].append(each.n)
    return numbers


async def test_an_event_arrives_as_the_api_shows_it_and_the_public_library_verifies_it(desk, as_role):
    async with receiving() as receiver, desk.dispatching():
        endpoint = await desk.endpoint(receiver.url)
        subject = await desk.happen(1)
        await receiver.until(lambda: receiver.taken)
    (message,) = receiver.taken
    body = Webhook(endpoint.secret).verify(message.body, message.headers)
    async with as_role("admin") as client:
        listed = await client.get("/v1/events", params={"subject": f"{desk.kind}:{subject}"})
    assert [body["data"]] == listed.json()["items"]
    assert (body["type"], body["timestamp"]) == (f"{desk.kind}.made", body["data"]["occurred_at"])
    assert message.headers["content-type"] == "application/json"
    assert message.target == "/hook"
    with pytest.raises(WebhookVerificationError):
        Webhook(endpoint.secret).verify(message.body + b" ", message.headers)
    (delivery,) = await desk.log(endpoint.id)
    assert (str(delivery.id), delivery.status, delivery.attempts) == (message.id, "delivered", 1)
    assert delivery.response_status == 204
    assert await desk.waiting(endpoint.id) == 0


async def test_only_what_the_filters_mean_arrives_and_only_from_the_beginning_on(desk):
    await desk.happen(1)
    async with receiving() as receiver:
        endpoint = await desk.endpoint(receiver.url, [f"{desk.kind}.made", f"{desk.kind}.gone.*"])
        await desk.happen(2)
        await desk.happen(3, kind="made_again")
        await desk.happen(4, kind="gone.far")
        await desk.happen(5, kind="gone")
        async with desk.dispatching():
            await receiver.until(lambda: len(receiver.taken) >= 2)
        await fan_out(desk.database)
    assert sorted(message.n for message in receiver.taken) == [2, 4]
    assert len(await desk.log(endpoint.id)) == 2


async def test_a_failing_message_holds_up_its_subject_and_no_other(desk):
    bad = uuid4()
    refusing = True

    async def behave(message: Message) -> int:
        return 500 if refusing and message.subject == str(bad) else 200

    async with receiving(behave) as receiver:
        endpoint = await desk.endpoint(receiver.url)
        await desk.happen(1, 2, 3, subject=bad)
        good = await desk.happen(1, 2, 3)
        async with desk.dispatching(retries=(timedelta(milliseconds=20),) * 1000):
            await receiver.until(lambda: len(receiver.taken) == 3 and len(receiver.seen) > 6)
            assert in_order(receiver.taken) == {str(good): [1, 2, 3]}
            tried = {message.n for message in receiver.seen if message.subject == str(bad)}
            assert tried == {1}
            assert (await desk.read(endpoint.id)).failing_since is not None
            refusing = False
            await receiver.until(lambda: len(receiver.taken) == 6)
    assert in_order(receiver.taken)[str(bad)] == [1, 2, 3]
    ids = [message.id for message in receiver.seen if message.subject == str(bad) and message.n == 1]
    assert len(ids) > 1
    assert len(set(ids)) == 1
    stored = await desk.read(endpoint.id)
    assert stored.failing_since is None
    assert stored.version == 3  # it began to fail, and it ended


@pytest.mark.parametrize(("workers", "count"), [(1, 1000), (3, 300)])
async def test_a_receiver_that_was_down_for_a_thousand_events_gets_them_all_in_order(desk, workers, count):
    chance = random.Random(workers)
    subjects = [uuid4() for _ in range(40)]
    down = True

    async def behave(message: Message) -> int:
        return 503 if down else chance.choice([200, 200, 200, 200, 500])

    async with receiving(behave) as receiver:
        endpoint = await desk.endpoint(receiver.url)
        expected = defaultdict(list)
        async with desk.dispatching(workers, retries=(timedelta(milliseconds=30),) * 1000):
            for start in range(0, count, 20):
                subject = chance.choice(subjects)
                numbers = list(range(start, start + 20))
                expected[str(subject)] += numbers
                await desk.happen(*numbers, subject=subject)
            await receiver.until(lambda: receiver.seen)
            assert receiver.taken == []
            down = False
            await receiver.until(lambda: len({each.id for each in receiver.taken}) == count, 60)
    assert in_order(receiver.taken) == expected
    assert len({message.event["id"] for message in receiver.taken}) == count
    verify = Webhook(endpoint.secret).verify
    for message in receiver.taken:
        verify(message.body, message.headers)
    assert await desk.waiting(endpoint.id) == 0
    assert {each.status for each in await desk.log(endpoint.id)} == {"delivered"}


async def test_the_first_message_of_a_subject_is_under_way_alone_also_with_many_workers(desk):
    under_way: dict[str, int] = defaultdict(int)
    most = 0

    async def behave(message: Message) -> int:
        nonlocal most
        under_way[message.subject] += 1
        most = max(most, under_way[message.subject])
        await asyncio.sleep(0.005)
        under_way[message.subject] -= 1
        return 200

    async with receiving(behave) as receiver:
        await desk.endpoint(receiver.url)
        for _ in range(5):
            await desk.happen(*range(12))
        async with desk.dispatching(4):
            await receiver.until(lambda: len(receiver.taken) == 60)
    assert most == 1
    assert len(receiver.seen) == 60  # nobody died, so nothing came twice


def settled(desk, endpoint_id: UUID, attempts: int):
    """Whether its one delivery was attempted so often, and nothing is under way."""

    async def check() -> bool:
        return [delivery.attempts for delivery in await desk.log(endpoint_id)] == [attempts]

    return check


async def next_attempt(desk, endpoint_id: UUID) -> timedelta:
    """How long until its one message is tried again."""
    async with desk.database.session() as session:
        statement = text("select due_at - now() from webhook_queue where endpoint_id = :id")
        return (await session.execute(statement, {"id": endpoint_id})).scalar_one()


async def make_due(desk, endpoint_id: UUID) -> None:
    """Let the time of its retry come."""
    async with desk.database.session() as session:
        statement = text("update webhook_queue set due_at = now() where endpoint_id = :id and lease is null")
        await session.execute(statement, {"id": endpoint_id})
        await session.execute(text("notify tridesk_events"))


async def test_retries_come_on_the_schedule_and_the_last_one_disables(desk):
    async def behave(message: Message) -> int:
        return 500

    async with receiving(behave) as receiver:
        endpoint = await desk.endpoint(receiver.url)
        await desk.happen(1)
        async with desk.dispatching(retries=RETRIES):
            for number, planned in enumerate(RETRIES, start=1):
                await until(settled(desk, endpoint.id, number))
                pause = await next_attempt(desk, endpoint.id)
                assert planned - timedelta(seconds=10) <= pause <= planned * 1.1
                assert (await desk.read(endpoint.id)).enabled
                await make_due(desk, endpoint.id)
            await until(settled(desk, endpoint.id, 10))
    stored = await desk.read(endpoint.id)
    assert (stored.enabled, stored.disabled_reason) == (False, "failing")
    assert len(receiver.seen) == 10
    assert await desk.types(endpoint.id) == ["webhook.created", "webhook.disabled"]


async def test_a_receiver_that_says_gone_is_disabled_and_resumes_once_enabled(desk):
    gone = True

    async def behave(message: Message) -> int:
        return 410 if gone else 200

    async with receiving(behave) as receiver:
        endpoint = await desk.endpoint(receiver.url)
        subject = await desk.happen(1, 2)
        async with desk.dispatching():
            await until(lambda: disabled(desk, endpoint.id))
            cursor = await desk.read(endpoint.id)
            await desk.happen(3, subject=subject)
            await desk.happen(4)
            done = await fan_out(desk.database)
            assert done.deliveries == 0
            assert len(receiver.seen) == 1
            stored = await desk.read(endpoint.id)
            assert (stored.disabled_reason, stored.cursor_number) == ("gone", cursor.cursor_number)
            gone = False
            await desk.switch(endpoint.id, on=True)
            await receiver.until(lambda: len(receiver.taken) == 4)
    assert in_order(receiver.taken)[str(subject)] == [1, 2, 3]
    assert await desk.types(endpoint.id) == ["webhook.created", "webhook.disabled", "webhook.enabled"]


async def disabled(desk, endpoint_id: UUID) -> bool:
    return not (await desk.read(endpoint_id)).enabled


async def test_enabling_gives_all_attempts_anew(desk):
    async def behave(message: Message) -> int:
        return 500

    async with receiving(behave) as receiver:
        endpoint = await desk.endpoint(receiver.url)
        await desk.happen(1)
        async with desk.dispatching(retries=(timedelta(milliseconds=10),) * 2):
            await until(lambda: disabled(desk, endpoint.id))
            assert len(receiver.seen) == 3
            await desk.switch(endpoint.id, on=True)
            await until(lambda: disabled(desk, endpoint.id))
    assert len(receiver.seen) == 6


async def test_nothing_is_sent_to_who_is_disabled_and_nothing_is_lost(desk):
    async with receiving() as receiver, desk.dispatching():
        endpoint = await desk.endpoint(receiver.url)
        await desk.switch(endpoint.id, on=False)
        await desk.happen(1, 2)
        other = await desk.endpoint(receiver.url + "2")
        await desk.happen(3)
        await receiver.until(lambda: receiver.taken)
        assert [(each.n, each.target) for each in receiver.seen] == [(3, "/hook2")]
        await desk.switch(endpoint.id, on=True)
        await receiver.until(lambda: len(receiver.taken) == 4)
    resumed = in_order([each for each in receiver.taken if each.target == "/hook"])
    assert sorted(resumed.values()) == [[1, 2], [3]]
    assert len(await desk.log(other.id)) == 1


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [("3600", 3595, 3600), ("999999999", 86395, 86400), ("0", 0, 6), ("soon", 0, 6), ("date", 3590, 3600)],
)
async def test_retry_after_is_honoured_if_it_is_later(desk, asked, least, most):
    if asked == "date":
        asked = (datetime.now(UTC) + timedelta(hours=1)).strftime("%a, %d %b %Y %H:%M:%S GMT")

    async def behave(message: Message) -> tuple[int, dict[str, str], bytes]:
        return 429, {"Retry-After": asked}, b""

    async with receiving(behave) as receiver:
        endpoint = await desk.endpoint(receiver.url)
        await desk.happen(1)
        async with desk.dispatching(retries=RETRIES):
            await until(settled(desk, endpoint.id, 1))
    assert timedelta(seconds=least) <= await next_attempt(desk, endpoint.id) <= timedelta(seconds=most)


async def test_both_secrets_sign_during_a_rotation_and_only_the_new_one_afterwards(desk):
    async with receiving() as receiver, desk.dispatching():
        old = await desk.endpoint(receiver.url)
        async with desk.database.session() as session:
            new = await endpoints.rotate(session, old.id, principal=SYSTEM)
        assert new.secret != old.secret
        await desk.happen(1)
        await receiver.until(lambda: receiver.taken)
        for secret in (old.secret, new.secret):
            Webhook(secret).verify(receiver.taken[0].body, receiver.taken[0].headers)
        async with desk.database.session() as session:
            statement = "update webhook_endpoint set previous_secrets_until = array[now()] where id = :id"
            await session.execute(text(statement), {"id": old.id})
        await desk.happen(2)
        await receiver.until(lambda: len(receiver.taken) == 2)
    second = receiver.taken[1]
    Webhook(new.secret).verify(second.body, second.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(old.secret).verify(second.body, second.headers)


async def test_who_lost_the_answer_may_rotate_again_and_the_secret_in_use_still_signs(desk):
    async with receiving() as receiver, desk.dispatching():
        used = await desk.endpoint(receiver.url)
        given = [used.secret]
        for _ in range(SECRETS_MAX - 1):
            async with desk.database.session() as session:
                given.append((await endpoints.rotate(session, used.id, principal=SYSTEM)).secret)
        await desk.happen(1)
        await receiver.until(lambda: receiver.taken)
        async with desk.database.session() as session:
            await endpoints.rotate(session, used.id, principal=SYSTEM)
        await desk.happen(2)
        await receiver.until(lambda: len(receiver.taken) == 2)
    first, second = receiver.taken
    for secret in given:
        Webhook(secret).verify(first.body, first.headers)
    assert len(second.headers["webhook-signature"].split(" ")) == SECRETS_MAX
    with pytest.raises(WebhookVerificationError):
        Webhook(used.secret).verify(second.body, second.headers)


async def test_a_secret_that_has_expired_does_not_come_back_with_the_next_rotation(desk):
    endpoint = await desk.endpoint("http://127.0.0.1:9/")
    for _ in range(2):
        async with desk.database.session() as session:
            await endpoints.rotate(session, endpoint.id, principal=SYSTEM)
            statement = "update webhook_endpoint set previous_secrets_until = array[now()] where id = :id"
            await session.execute(text(statement), {"id": endpoint.id})
    async with desk.database.session() as session:
        rotated = await endpoints.rotate(session, endpoint.id, principal=SYSTEM)
        assert len(rotated.previous_secrets) == 1
        assert rotated.secret not in rotated.previous_secrets


async def test_a_lease_that_nobody_returns_ends_and_the_message_is_sent_again(desk):
    async with receiving() as receiver:
        await desk.endpoint(receiver.url)
        await desk.happen(1, 2)
        await fan_out(desk.database)
        async with desk.database.session() as session:  # a worker that dies after this
            (lost,) = await queue.take(session, room=1, lease=timedelta(seconds=0.4))
        async with desk.database.session() as session:
            assert await queue.take(session, room=1) == []
        async with desk.dispatching():
            await receiver.until(lambda: len(receiver.taken) == 2)
        assert [message.n for message in receiver.taken] == [1, 2]
        assert str(lost.delivery_id) == receiver.taken[0].id


async def test_an_outcome_that_comes_after_its_lease_was_taken_over_changes_nothing(desk):
    endpoint = await desk.endpoint("http://127.0.0.1:9/")
    await desk.happen(1, 2)
    await fan_out(desk.database)
    async with desk.database.session() as session:
        (late,) = await queue.take(session, room=1, lease=timedelta(0))
    async with desk.database.session() as session:
        (current,) = await queue.take(session, room=1)
    assert late.delivery_id == current.delivery_id
    for error in (None, DeliveryError.TIMEOUT):
        async with desk.database.session() as session:
            await queue.settle(session, late, Outcome(error=error, duration_ms=1))
    assert [each.attempts for each in await desk.log(endpoint.id)] == [0, 0]
    async with desk.database.session() as session:
        await queue.settle(session, current, Outcome(error=None, duration_ms=1, status=200))
    assert [each.status for each in await desk.log(endpoint.id)] == ["delivered", "pending"]


async def test_an_erased_person_is_not_told_of_by_a_later_attempt(desk):
    async with receiving() as receiver:
        await desk.endpoint(receiver.url)
        subject = await desk.happen(1)
        await fan_out(desk.database)
        async with desk.database.session() as session:
            await forget(session, Subject(desk.kind, subject))
        async with desk.dispatching():
            await receiver.until(lambda: receiver.taken)
    assert json.loads(receiver.taken[0].body)["data"]["after"] is None


async def test_an_event_that_cannot_be_read_holds_up_its_own_subject_and_no_other(desk, monkeypatch, caplog):
    def broken(event):
        if event.after == {"n": 1}:
            raise ValueError
        return body_of(event)

    monkeypatch.setattr("app.webhooks.dispatcher.body_of", broken)
    async with receiving() as receiver:
        endpoint = await desk.endpoint(receiver.url)
        await desk.happen(1, 2)
        await desk.happen(3)
        async with desk.dispatching(retries=(timedelta(hours=1),)):
            await receiver.until(lambda: receiver.taken)
            await until(lambda: tried(desk, endpoint.id))
    assert [each.n for each in receiver.seen] == [3]
    assert (await desk.log(endpoint.id))[0].error == "unreadable_event"
    assert "cannot be read" in caplog.text


async def tried(desk, endpoint_id: UUID) -> bool:
    return (await desk.log(endpoint_id))[0].attempts == 1


async def test_a_dispatcher_that_is_cut_off_leaves_its_messages_to_others(desk):
    async def behave(message: Message) -> int:
        await asyncio.sleep(30)
        return 200

    async with receiving(behave) as receiver:
        endpoint = await desk.endpoint(receiver.url)
        await desk.happen(1)
        running = asyncio.create_task(desk.dispatcher(lease=timedelta(seconds=0.3)).run(asyncio.Event()))
        await receiver.until(lambda: receiver.seen)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(running, 5)
        assert [each.attempts for each in await desk.log(endpoint.id)] == [0]
        receiver.behave = accept
        async with desk.dispatching():
            await receiver.until(lambda: receiver.taken)
    assert receiver.seen[0].id == receiver.taken[0].id


async def test_stopping_waits_for_what_is_under_way_and_takes_nothing_more(desk):
    entered, release = asyncio.Event(), asyncio.Event()

    async def behave(message: Message) -> int:
        entered.set()
        await release.wait()
        return 200

    async with receiving(behave) as receiver:
        endpoint = await desk.endpoint(receiver.url)
        await desk.happen(1, 2)
        stopping = asyncio.Event()
        running = asyncio.create_task(desk.dispatcher().run(stopping))
        await asyncio.wait_for(entered.wait(), 10)
        stopping.set()
        done, _ = await asyncio.wait({running}, timeout=0.2)
        assert not done
        release.set()
        await asyncio.wait_for(running, 10)
    assert [each.status for each in await desk.log(endpoint.id)] == ["delivered", "pending"]


async def test_deliveries_make_no_events(desk):
    async with receiving() as receiver, desk.dispatching():
        endpoint = await desk.endpoint(receiver.url, ["webhook.*", f"{desk.kind}.*"])
        await desk.happen(1)
        await receiver.until(lambda: len(receiver.taken) >= 2)
    assert await desk.types(endpoint.id) == ["webhook.created"]
    assert sorted(each.event["type"] for each in receiver.taken) == [f"{desk.kind}.made", "webhook.created"]


async def test_what_commits_late_is_not_passed_over_and_keeps_the_order_of_the_log(desk):
    subject = uuid4()
    async with receiving() as receiver:
        endpoint = await desk.endpoint(receiver.url)
        async with desk.dispatching():
            async with desk.database.session() as slow:
                await desk.record(slow, 1, subject=subject)
                await desk.happen(2, subject=subject)
                await desk.happen(3)
                done = await fan_out(desk.database)
                assert (done.deliveries, done.above) == (0, True)
                assert await desk.log(endpoint.id) == []
            await receiver.until(lambda: len(receiver.taken) == 3)
    assert in_order(receiver.taken)[str(subject)] == [1, 2]


@pytest.mark.parametrize("workers", [1, 3])
async def test_events_that_come_while_their_queue_is_being_emptied_are_not_forgotten(desk, workers):
    chance = random.Random(workers)
    subjects = [uuid4() for _ in range(3)]

    async def write(writer: int) -> None:
        for number in range(40):
            async with desk.database.session() as session:
                await desk.record(session, writer * 100 + number, subject=chance.choice(subjects))
                await asyncio.sleep(chance.uniform(0, 0.01))
            await asyncio.sleep(chance.uniform(0, 0.02))

    async with receiving() as receiver:
        endpoint = await desk.endpoint(receiver.url)
        async with desk.dispatching(workers):
            await asyncio.gather(*(write(writer) for writer in range(3)))
            await receiver.until(lambda: len({each.id for each in receiver.taken}) == 120)
    logged = [(str(each.subject_id), each.id) for each in await desk.log(endpoint.id)]
    for subject in map(str, subjects):
        expected = [str(identity) for about, identity in logged if about == subject]
        assert [each.id for each in receiver.taken if each.subject == subject] == expected
    assert await desk.waiting(endpoint.id) == 0


async def test_a_lost_connection_ends_the_run_so_that_the_worker_starts_it_again(desk):
    async def cut() -> int:
        statement = (
            "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = :name"
        )
        async with desk.database.session() as session:
            return await session.scalar(text(statement), {"name": LISTENER})

    running = asyncio.create_task(desk.dispatcher().run(asyncio.Event()))
    await until(cut)
    done, _ = await asyncio.wait({running}, timeout=10)
    assert done
    assert is_connection_lost(running.exception())  # in the driver's words if it was beginning to listen


async def one_under_way_and_one_to_come(desk):
    """(endpoint, the attempt of the first message, the horizon): the second is not fanned out yet."""
    endpoint = await desk.endpoint("http://127.0.0.1:9/")
    subject = await desk.happen(1)
    await fan_out(desk.database)
    async with desk.database.session() as session:
        (attempt,) = await queue.take(session, room=1)
    await desk.happen(2, subject=subject)
    async with desk.database.session() as session:
        horizon = await session.scalar(text("select event_horizon()"))
    return endpoint, attempt, horizon


TAKEN = Outcome(error=None, duration_ms=1, status=200)


async def test_a_queue_is_not_given_up_while_a_message_is_being_added_to_it(desk):
    endpoint, attempt, horizon = await one_under_way_and_one_to_come(desk)

    async def settle() -> None:
        async with desk.database.session() as session:
            await queue.settle(session, attempt, TAKEN)

    async with desk.database.session() as adding:
        assert await advance(adding, endpoint.id, horizon=horizon) == (1, False)
        settling = asyncio.create_task(settle())
        done, _ = await asyncio.wait({settling}, timeout=0.3)
        assert not done
    await settling
    assert await desk.waiting(endpoint.id) == 1


async def test_a_message_is_added_to_a_queue_that_is_just_being_given_up(desk):
    endpoint, attempt, _ = await one_under_way_and_one_to_come(desk)
    async with desk.database.session() as settling:
        await queue.settle(settling, attempt, TAKEN)
        adding = asyncio.create_task(fan_out(desk.database))
        done, _ = await asyncio.wait({adding}, timeout=0.3)
        assert not done
    await adding
    assert [each.status for each in await desk.log(endpoint.id)] == ["delivered", "pending"]
    assert await desk.waiting(endpoint.id) == 1


async def test_enabling_tries_what_waits_at_once(desk):
    async def behave(message: Message) -> int:
        return 500

    async with receiving(behave) as receiver:
        endpoint = await desk.endpoint(receiver.url)
        async with desk.dispatching(retries=(timedelta(hours=1),)):
            await desk.happen(1)
            await until(settled(desk, endpoint.id, 1))
            await desk.switch(endpoint.id, on=False)
            receiver.behave = accept
            await desk.switch(endpoint.id, on=True)
            await receiver.until(lambda: receiver.taken)

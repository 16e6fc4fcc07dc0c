"""The mirror ends in the same state whatever order the provider's messages arrive in."""

from __future__ import annotations

import asyncio
import itertools
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from app.billing.exceptions import ContradictionError
from app.billing.service import ledger
from app.billing.service.mirror import Heard, LineHeard, record_dispute, record_invoice, record_payment
from app.billing.utils import ordering
from app.billing.utils.ordering import Seen
from tests.billing.mirroring import DAY, Message, account, messages, state, tell, told

SEEN = st.builds(
    Seen,
    rank=st.sampled_from([0, 1, 2, 100, 101]),
    at=st.one_of(st.none(), st.integers(0, 3).map(lambda each: DAY + timedelta(seconds=each))),
    event=st.one_of(st.none(), st.sampled_from(["a", "b", "c"])),
)


def holding(order, *, time_first):
    known = Seen(rank=0, at=None, event=None)
    for each in order:
        if known.is_before(each, time_first=time_first):
            known = each
    return known


@given(st.lists(SEEN, min_size=1, max_size=8), st.randoms(use_true_random=False), st.booleans())
def test_any_order_and_repetition_of_messages_ends_in_the_same_state(heard, rng, time_first):
    shuffled = heard + [rng.choice(heard) for _ in range(rng.randrange(4))]
    rng.shuffle(shuffled)

    def key(seen):
        return (seen.rank, seen.at, seen.event or "")

    assert key(holding(shuffled, time_first=time_first)) == key(holding(heard, time_first=time_first))


def seen(status_rank: int, second: int, event: str) -> Seen:
    return Seen(rank=status_rank, at=DAY + timedelta(seconds=second), event=event)


def test_of_one_way_things_the_rank_decides_then_the_time_then_the_event():
    paid, opened = ordering.INVOICE["paid"], ordering.INVOICE["open"]
    order = [seen(opened, 0, "z"), seen(opened, 9, "a"), seen(paid, 1, "a"), seen(paid, 1, "b")]
    for one, other in itertools.pairwise(order):
        assert one.is_before(other)
        assert not other.is_before(one)


def test_of_subscriptions_the_end_decides_then_the_time_then_the_rank():
    rank = ordering.SUBSCRIPTION
    order = [
        seen(rank["past_due"], 0, "z"),
        seen(rank["incomplete"], 1, "z"),
        seen(rank["active"], 1, "a"),
        seen(rank["trialing"], 2, "a"),
        seen(rank["canceled"], 0, "a"),
    ]
    for one, other in itertools.pairwise(order):
        assert one.is_before(other, time_first=True)
        assert not other.is_before(one, time_first=True)


@given(SEEN, st.booleans())
def test_the_same_message_again_is_no_news(seen, time_first):
    assert not seen.is_before(seen, time_first=time_first)


@pytest.fixture(scope="module")
async def expected(database):
    return await told(database, messages())


class TestStory:
    async def test_in_order_it_says_what_happened(self, expected):
        found = {(kind, status): rest for kind, status, *rest in expected}
        assert found["subscription", "past_due"] == [True, 10_000, 4, 0, 0]
        assert found["invoice", "paid"] == [True, 12_000, 12_000, 10_000, 0]
        assert found["payment", "succeeded"] == [True, 12_000, 3_000, 4_000, 0]
        assert found["refund", "succeeded"][:2] == [True, 3_000]
        assert found["dispute", "lost"][:2] == [True, 4_000]
        assert found["credit_note", "issued"][:2] == [True, 3_000]
        assert found["ledger", "cash"][1] == 12_000 - 3_000 - 4_000
        assert ("ledger", "disputes_held") not in found

    @pytest.mark.parametrize("seed", range(6))
    async def test_in_any_order_and_repeated_it_ends_the_same(self, database, expected, seed):
        rng = random.Random(seed)
        order = messages() + rng.sample(messages(), 4)
        rng.shuffle(order)
        assert await told(database, order) == expected

    async def test_backwards_it_ends_the_same(self, database, expected):
        assert await told(database, messages()[::-1]) == expected

    @pytest.mark.proof
    async def test_in_many_orders_it_ends_the_same(self, database, expected):
        for seed in range(200):
            order = messages() + random.Random(seed).choices(messages(), k=5)
            random.Random(-seed).shuffle(order)
            assert await told(database, order) == expected, seed

    async def test_heard_at_once_it_ends_the_same(self, database, expected):
        account_id = await account(database)
        world = f"w{account_id.hex}"

        async def insist(message: Message) -> None:
            for _ in range(5):  # as a provider does, until it is heard
                try:
                    return await tell(database, message, world=world, account_id=account_id)
                except Exception as error:
                    if getattr(getattr(error, "orig", None), "sqlstate", None) != "40P01":
                        raise
            raise AssertionError(message)

        await asyncio.gather(*(insist(each) for each in messages() * 2))
        assert await state(database, world, account_id) == expected

    async def test_the_ledger_can_be_reckoned_up_from_the_rows(self, database, expected):
        """Of other tests' rows some are put in by hand, and some on purpose wrong."""
        async with database.session() as session:
            report = await ledger.verify(session)
            ids = await session.scalars(
                text(
                    "select id from payment where external_id like 'w%-%' union all"
                    " select id from invoice where external_id like 'w%-%' union all"
                    " select id from dispute where external_id like 'w%-%'"
                )
            )
            mine = [str(each) for each in ids]
        assert mine
        found = [*report.violations, *report.differences]
        assert [each for each in found if any(one in each.thing for one in mine)] == []


class TestThings:
    async def test_what_is_only_heard_of_by_its_id_is_unknown_and_has_nothing_to_refund(
        self, database, unique
    ):
        heard = Heard(provider="manual", at=DAY)
        async with database.session() as session:
            row = await record_dispute(
                session,
                heard,
                unique,
                currency="EUR",
                payment=f"pi-{unique}",
                amount=500,
                status="needs_response",
            )
            found = await session.execute(
                text("select status, captured from payment where id = :id"), {"id": row.payment_id}
            )
        assert found.one() == ("unknown", 0)

    async def test_a_charge_and_its_payment_that_were_heard_of_apart_become_one(self, database, unique):
        name, account_id = unique, await account(database)
        heard = Heard(provider="sandbox", at=DAY)
        paid = {"customer": None, "account_id": account_id, "currency": "EUR", "amount": 900}
        async with database.session() as session:
            await record_payment(session, heard, f"pi-{name}", status="pending", captured=0, **paid)
            dispute = await record_dispute(
                session, heard, f"dp-{name}", currency="EUR", charge=f"ch-{name}", amount=900, status="lost"
            )
            first = dispute.payment_id
            row = await record_payment(
                session, heard, f"pi-{name}", status="succeeded", captured=900, charge=f"ch-{name}", **paid
            )
            await session.refresh(dispute)
            assert first != row.id == dispute.payment_id
            assert (row.lost, row.refundable, row.overdrawn) == (900, 0, 0)
            assert dispute.account_id == account_id

    @pytest.mark.parametrize(
        ("given", "field"),
        [
            ({"total": 121}, "total"),
            ({"subtotal": 99}, "subtotal"),
            ({"subtotal": 100, "tax": 20, "total": 119}, "total"),
        ],
    )
    async def test_sums_that_contradict_each_other_are_refused_with_their_field(
        self, database, unique, given, field
    ):
        line = LineHeard(description="One", amount=100, tax_amount=20)
        async with database.session() as session:
            with pytest.raises(ContradictionError) as refused:
                await record_invoice(
                    session,
                    Heard(provider="manual", at=DAY),
                    unique,
                    customer=None,
                    currency="EUR",
                    status="open",
                    lines=[line],
                    **given,
                )
        assert refused.value.extra["errors"][0]["field"] == field

    async def test_lines_keep_their_ids_when_they_change(self, database, unique):
        name = unique
        lines = [LineHeard(description=each, amount=100, tax_amount=0) for each in ("a", "b", "c")]
        ids = text("select id, description from invoice_line where invoice_id = :id order by position")

        async def say(hour: int, told: list[LineHeard]) -> tuple[int, list[tuple[str, str]]]:
            heard = Heard(provider="manual", at=DAY + timedelta(hours=hour))
            async with database.session() as session:
                row = await record_invoice(
                    session, heard, name, customer=None, currency="EUR", status="open", lines=told
                )
                return row.version, [tuple(each) for each in await session.execute(ids, {"id": row.id})]

        version, before = await say(0, lines)
        again, same = await say(1, lines)
        assert (again, same) == (version, before)
        other = [lines[0], LineHeard(description="d", amount=100, tax_amount=0), lines[2]]
        changed, after = await say(2, other)
        assert changed == version + 1
        assert [key for key, _ in after] == [key for key, _ in before]
        assert [words for _, words in after] == ["a", "d", "c"]
        _, fewer = await say(3, lines[:1])
        assert fewer == before[:1]

    async def test_a_card_number_in_a_description_is_not_kept(self, database, unique):
        name = unique
        line = LineHeard(description="Card 4111 1111 1111 1111", amount=100)
        async with database.session() as session:
            row = await record_invoice(
                session,
                Heard(provider="manual", at=datetime.now(UTC)),
                name,
                customer=None,
                currency="EUR",
                status="open",
                lines=[line],
                description="Paid by 4111 1111 1111 1111",
            )
            kept = await session.scalar(
                text("select description from invoice_line where invoice_id = :id"), {"id": row.id}
            )
        assert "4111 1111" not in kept + row.description

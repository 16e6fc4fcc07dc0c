"""Stripe's events through the real route: once each, in any order, and only when they are signed."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import httpx
import pytest
from litestar import Litestar
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.service import ledger
from app.database import Database
from app.identity import service as identity
from tests.billing.stripe_story import Story, signed, the_year

SECRET = "whsec_" + "s" * 32
OLD_SECRET = "whsec_" + "o" * 32
ZEROS = "0" * 64
PATH = "/v1/billing/provider/stripe/events"

# The end state of each table, without our own ids and the times of recording.
STATES = {
    "subscription": "status, quantity, unit_amount, plan_name, account_id is not null, ended_at",
    "invoice": "number, status, subtotal, tax, total, paid, paid_at, account_id is not null,"
    " (select string_agg(description || amount || '/' || tax_amount, ',' order by position)"
    " from invoice_line where invoice_id = invoice.id), subscription_id is not null",
    "payment": "status, amount, captured, refunded, lost, overdrawn, method, charge_id,"
    " (select number from invoice where id = payment.invoice_id), account_id is not null",
    "dispute": "status, amount, reason, evidence_due_at, closed_at, account_id is not null,"
    " (select external_id from payment where id = dispute.payment_id)",
    "credit_note": "status, number, subtotal, tax, total, reduces, refund_amount, credit_amount,"
    " out_of_band_amount",
}
REFUNDS = """
select external_id, status, amount, failure_reason, account_id is not null,
    (select external_id from payment where id = refund.payment_id)
from refund where external_id like :tag order by refund.external_id
"""


@pytest.fixture
async def stripe(app: Litestar, monkeypatch: pytest.MonkeyPatch) -> httpx.AsyncClient:
    """A client that is Stripe."""

    monkeypatch.setitem(
        app.state._state,
        "settings",
        replace(app.state.settings, stripe_webhook_secret=(SECRET, OLD_SECRET)),
    )
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]  # litestar's own ASGI types
    return httpx.AsyncClient(transport=transport, base_url="http://tridesk.test")


async def post(client: httpx.AsyncClient, event: Any, **options: Any) -> httpx.Response:
    body, headers = signed(event, SECRET, **options)
    return await client.post(PATH, content=body, headers=headers)


async def play(
    client: httpx.AsyncClient, database: Database, order: Sequence[int], *, twice: bool = False
) -> dict[str, Any]:
    """A new account's year told in this order; what is known in the end, and the ledger's balances."""
    tag, account = uuid4().hex[:12], f"stripe-{uuid4()}"
    async with database.session() as session:
        account_id = (await identity.upsert_account(session, account, account)).id
        before = await _findings(session)  # what other tests left there
    events = the_year(tag, account)
    for index in order:
        for _ in range(2 if twice else 1):
            response = await post(client, events[index])
            assert response.status_code == 200, response.text
    found: dict[str, Any] = {}
    async with database.session() as session:
        for table, columns in STATES.items():
            rows = await session.execute(
                text(f"select external_id, {columns} from {table} where external_id like :tag order by 1"),
                {"tag": f"%{tag}"},
            )
            found[table] = [_bare(row, tag) for row in rows]
        found["refund"] = [
            _bare(row, tag) for row in await session.execute(text(REFUNDS), {"tag": f"%{tag}"})
        ]
        found["balances"] = await ledger.balances(session, account_id)
        assert await _findings(session) <= before
    return found


async def _findings(session: AsyncSession) -> set[tuple[str, str]]:
    report = await ledger.verify(session)
    return {(each.violation, each.thing) for each in (*report.violations, *report.differences)}


def _bare(row: Any, tag: str) -> tuple[Any, ...]:
    return tuple(each.replace(tag, "") if isinstance(each, str) else each for each in row)


async def test_the_year_in_order_ends_as_it_was_told(stripe, database):
    found = await play(stripe, database, range(len(the_year("x", "y"))))
    assert [(row[0], row[2], row[5], row[6]) for row in found["invoice"]] == [
        ("in_a", "paid", 33_499, 33_499),
        ("in_b", "paid", 33_499, 33_499),
        ("in_c", "uncollectible", 33_499, 0),
    ]
    payments = {row[0]: row for row in found["payment"]}
    assert payments["pi_a"][3:7] == (33_499, 0, 33_499, 0)  # the refund failed, the dispute was lost
    assert payments["pi_b"][3:7] == (33_499, 5_000, 0, 0)
    assert payments["pi_c"][3:7] == (33_499, 0, 0, 0)  # the dispute was won
    assert payments["pi_a"][8] == "ch_a"
    assert payments["pi_a"][9] == "BW-a-"
    assert [row[:2] for row in found["refund"]] == [("re_a", "failed"), ("re_b", "succeeded")]
    assert [row[1] for row in found["subscription"]] == ["canceled"]
    note = found["credit_note"][0]
    assert note[3:] == (6_833, 1_367, 8_200, 0, 5_000, 3_200, 0)
    (balance,) = found["balances"]
    assert (balance.paid, balance.refunded, balance.lost, balance.net_paid) == (
        100_497,
        5_000,
        33_499,
        61_998,
    )
    assert (balance.credit, balance.disputed) == (3_200, 0)


@pytest.mark.parametrize("seed", range(6))
async def test_any_order_and_repetition_ends_in_the_same_state(stripe, database, seed):
    count = len(the_year("x", "y"))
    order = list(range(count))
    if seed == 0:
        order.reverse()
    else:
        random.Random(seed).shuffle(order)
    expected = await play(stripe, database, range(count))
    assert await play(stripe, database, order, twice=seed % 2 == 0) == expected


async def test_an_event_is_applied_once(stripe, unique):
    story = Story(uuid4().hex[:12], unique)
    story.tell("customer.created", story.customer(), 0)
    first, second = await post(stripe, story.events[0]), await post(stripe, story.events[0])
    assert (first.json()["outcome"], second.json()["outcome"]) == ("applied", "duplicate")


async def test_what_says_nothing_that_is_kept_is_taken_and_ignored(stripe, unique):
    event = {
        "id": f"evt_{unique}",
        "type": "price.created",
        "created": 1,
        "data": {"object": {"id": "price_1"}},
    }
    response = await post(stripe, event)
    assert (response.status_code, response.json()["outcome"]) == (200, "ignored")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=1",
        "v1=" + "0" * 64,
        "t=x,v1=" + "0" * 64,
        "t={now},v0=" + "0" * 64,
        "t=1," * 2000,
    ],
)
async def test_an_unsigned_event_is_refused(stripe, header):
    header = header.replace("{now}", str(int(time.time())))
    response = await stripe.post(PATH, content=b"{}", headers={"Stripe-Signature": header})
    assert (response.status_code, response.json()["code"]) == (401, "invalid_signature")


async def test_a_wrong_an_old_and_a_future_signature_are_refused(stripe, unique):
    event = {"id": f"evt_{unique}", "type": "price.created", "created": 1, "data": {"object": {"id": "x"}}}
    body, headers = signed(event, "whsec_" + "t" * 32)
    answers = [await stripe.post(PATH, content=body, headers=headers)]
    answers += [await post(stripe, event, at=time.time() + shift) for shift in (-301, 301)]
    body, headers = signed(event, SECRET)
    answers.append(await stripe.post(PATH, content=body + b" ", headers=headers))
    assert [each.status_code for each in answers] == [401] * 4
    body, headers = signed(event, OLD_SECRET)
    assert (await stripe.post(PATH, content=body, headers=headers)).status_code == 200, "a secret in rotation"


@pytest.mark.parametrize(
    "event",
    [
        b"",
        b"[]",
        b"\xff\xfe",
        b'{"id": "evt_1"}',
        {"id": "evt_1", "type": "charge.succeeded", "created": 1, "data": {"object": {}}},
        {"id": "evt_1", "type": "charge.succeeded", "created": "now", "data": {"object": {"id": "ch"}}},
        {
            "id": "evt_1",
            "type": "charge.succeeded",
            "created": 1,
            "data": {"object": {"id": "ch", "currency": "eur", "amount": 1.5, "captured": True}},
        },
        {
            "id": "evt_2",
            "type": "invoice.paid",
            "created": 1,
            "data": {"object": {"id": "in", "currency": "zzz", "total": 1, "status": "paid"}},
        },
    ],
)
async def test_a_malformed_event_is_refused_and_leaves_nothing(stripe, database, event):
    response = await post(stripe, event)
    assert response.status_code == 400, response.text
    assert response.json()["code"] in {"invalid_event", "unknown_currency"}
    async with database.session() as session:
        assert not await session.scalar(
            text("select count(*) from provider_event where external_id in ('evt_1', 'evt_2')")
        )


async def test_what_the_database_would_not_take_is_stripped_or_refused(stripe, unique):
    story = Story(uuid4().hex[:12], unique)
    story.tell("charge.succeeded", story.charge("a", description="a\0b"), 0)
    story.tell("charge.succeeded", story.charge("b", amount=10**19), 0)
    story.tell("invoice.finalized", story.invoice("a", "open"), 0)
    story.events[-1]["data"]["object"]["lines"]["data"][0]["tax_rates"] = [{"percentage": "NaN"}]
    answers = [await post(stripe, event) for event in story.events]
    assert [each.status_code for each in answers] == [200, 400, 400], [each.text for each in answers]


async def test_without_a_secret_no_event_is_taken(client):
    response = await client.post(PATH, content=b"{}")
    assert (response.status_code, response.json()["code"]) == (404, "provider_events_off")

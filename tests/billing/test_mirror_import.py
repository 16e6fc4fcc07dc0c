"""Imports, lists and single things over HTTP."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.billing.mirroring import account, hand_in

LINE = {"description": "Business, November", "amount": 10_000, "tax_rate": "20"}


@pytest.fixture
async def admin(caller):
    return (await caller("admin")).client


@pytest.fixture
async def whole(admin, database):
    """An account with one of each kind; the ids by kind."""
    account_id, name = await account(database), uuid4().hex
    own = {"account_id": str(account_id), "currency": "EUR", "at": "2026-11-02T09:00:00Z"}
    plan = {"plan": "business", "status": "active", "unit_amount": 10_000, "interval": "month"}
    bill = {"status": "paid", "number": f"IN-{name}", "lines": [LINE], "paid": 12_000, "subscription": name}
    money = {"status": "succeeded", "amount": 12_000, "invoice": name, "method": "card"}
    taken = {"payment": name, "currency": "EUR"}
    items = {
        "subscriptions": own | plan,
        "invoices": own | bill,
        "payments": own | money,
        "refunds": taken | {"amount": 2_000, "status": "succeeded"},
        "disputes": taken | {"amount": 1_000, "status": "needs_response"},
        "credit-notes": {"invoice": name, "currency": "EUR", "subtotal": 100, "status": "issued"},
    }
    made = {"account_id": str(account_id), "name": name, "items": items}
    for kind, item in items.items():
        answer = await hand_in(admin, kind, item | {"external_id": name})
        assert answer.status_code == 200, answer.text
        (entry,) = answer.json()["items"]
        assert entry["status"] == 200, entry
        assert entry["result"]["result"] == "created"
        made[kind] = entry["result"]["id"]
    return made


class TestImport:
    async def test_the_same_items_again_change_nothing(self, admin, whole):
        for kind, item in whole["items"].items():
            answer = await hand_in(admin, kind, item | {"external_id": whole["name"]})
            assert answer.json()["items"][0]["result"] == {
                "id": whole[kind],
                "external_id": whole["name"],
                "result": "unchanged",
            }, kind

    async def test_a_later_state_updates_and_an_earlier_one_is_ignored(self, admin, whole):
        item = whole["items"]["subscriptions"] | {"external_id": whole["name"]}
        later = item | {"at": "2026-11-03T09:00:00Z", "quantity": 7}
        for each, result in ((later, "updated"), (item, "unchanged")):
            answer = await hand_in(admin, "subscriptions", each)
            assert answer.json()["items"][0]["result"]["result"] == result
        found = await admin.get(f"/v1/billing/subscriptions/{whole['subscriptions']}")
        assert found.json()["quantity"] == 7

    async def test_an_item_that_cannot_be_taken_fails_alone(self, admin, whole):
        good = {"external_id": uuid4().hex, "account_id": whole["account_id"], "currency": "EUR"}
        good |= {"status": "succeeded", "amount": 500}
        bad = [
            good | {"external_id": uuid4().hex, "account_id": str(uuid4())},
            good | {"external_id": uuid4().hex, "captured": 501},
            good | {"external_id": uuid4().hex, "currency": "XXQ"},
            good | {"external_id": uuid4().hex, "at": "2099-01-01T00:00:00Z"},
        ]
        answer = (await hand_in(admin, "payments", *bad, good)).json()
        assert (answer["succeeded"], answer["failed"]) == (1, 4)
        assert [each["problem"]["code"] for each in answer["items"][:4]] == [
            "unknown_reference",
            "contradicting_amounts",
            "unknown_currency",
            "validation_error",
        ]
        listed = await admin.get("/v1/billing/payments", params={"account_id": whole["account_id"]})
        assert len(listed.json()["items"]) == 2

    async def test_what_is_taken_from_a_payment_is_in_its_currency(self, admin, whole):
        refund = {"external_id": uuid4().hex, "payment": whole["name"], "currency": "USD", "amount": 1}
        answer = (await hand_in(admin, "refunds", refund | {"status": "succeeded"})).json()
        assert answer["items"][0]["problem"]["code"] == "currency_mismatch"

    async def test_tax_is_reckoned_on_the_sum_of_a_rate(self, admin, database):
        lines = [{"description": "One", "amount": 333, "tax_rate": "20"} for _ in range(3)]
        item = {"external_id": uuid4().hex, "currency": "EUR", "status": "open", "lines": lines}
        made = (await hand_in(admin, "invoices", item)).json()["items"][0]["result"]["id"]
        found = (await admin.get(f"/v1/billing/invoices/{made}")).json()
        assert (found["subtotal"], found["tax"], found["total"], found["owed"]) == (999, 200, 1199, 1199)
        assert [each["tax_amount"] for each in found["lines"]] == [67, 67, 66]

    async def test_it_needs_a_key_and_an_admin(self, admin, caller, whole):
        item = {"external_id": "x", "currency": "EUR", "status": "succeeded", "amount": 1}
        without = await admin.post("/v1/billing/payments/import", json={"items": [item]})
        assert without.status_code == 400
        lead = (await caller("lead")).client
        assert (await hand_in(lead, "payments", item)).status_code == 403

    async def test_two_megabytes_are_read_and_501_items_refused(self, admin):
        item = {"currency": "EUR", "status": "open", "lines": [LINE | {"description": "x" * 4_000}]}
        many = [item | {"external_id": "?"} for _ in range(501)]
        assert (await hand_in(admin, "invoices", *many)).status_code == 400  # understood, and too many


class TestLists:
    async def test_each_kind_is_found_by_its_account_and_shown_alike(self, admin, whole):
        for kind in ("subscriptions", "invoices", "payments", "refunds", "disputes"):
            listed = await admin.get(f"/v1/billing/{kind}", params={"account_id": whole["account_id"]})
            one = await admin.get(f"/v1/billing/{kind}/{whole[kind]}")
            assert listed.json()["items"] == [one.json()], kind
            assert one.headers["ETag"]

    async def test_a_payment_says_what_is_left_and_that_it_is_disputed(self, admin, whole):
        found = (await admin.get(f"/v1/billing/payments/{whole['payments']}")).json()
        assert (found["refunded"], found["refundable"], found["disputed"]) == (2_000, 10_000, True)

    @pytest.mark.parametrize(
        ("kind", "asked", "found"),
        [
            ("payments", {"disputed": "true"}, 1),
            ("payments", {"disputed": "false"}, 0),
            ("payments", {"method": "card", "amount_min": 12_000, "amount_max": 12_000}, 1),
            ("payments", {"amount_min": 12_001}, 0),
            ("payments", {"paid_after": "2026-11-02T00:00:00Z", "paid_before": "2026-11-03T00:00:00Z"}, 1),
            ("payments", {"paid_before": "2026-11-02T00:00:00Z"}, 0),
            ("invoices", {"overdue": "false", "status": "paid"}, 1),
            ("invoices", {"overdue": "true"}, 0),
            ("refunds", {"status": "pending"}, 0),
            ("disputes", {"status": "needs_response", "currency": "EUR"}, 1),
            ("subscriptions", {"plan": "business", "q": "BUSI"}, 1),
            ("subscriptions", {"plan": "other"}, 0),
        ],
    )
    async def test_filters_hold(self, admin, whole, kind, asked, found):
        params = {"account_id": whole["account_id"]} | asked
        assert len((await admin.get(f"/v1/billing/{kind}", params=params)).json()["items"]) == found

    async def test_things_are_found_through_what_they_belong_to(self, admin, whole):
        for kind, by in (
            ("invoices", {"subscription_id": whole["subscriptions"]}),
            ("invoices", {"number": f"IN-{whole['name']}"}),
            ("invoices", {"q": whole["name"]}),
            ("payments", {"subscription_id": whole["subscriptions"]}),
            ("payments", {"invoice_id": whole["invoices"]}),
            ("refunds", {"invoice_id": whole["invoices"]}),
            ("refunds", {"payment_id": whole["payments"]}),
            ("disputes", {"invoice_id": whole["invoices"]}),
        ):
            listed = (await admin.get(f"/v1/billing/{kind}", params=by)).json()["items"]
            assert [each["id"] for each in listed] == [whole[kind]], (kind, by)

    async def test_only_customers_who_see_their_account_see_its_money(self, caller, whole):
        sees = await caller("customer", account_id=whole["account_id"], sees_account=True)
        blind = await caller("customer", account_id=whole["account_id"])
        other = await caller("customer", sees_account=True)
        for kind in ("subscriptions", "invoices", "payments", "refunds", "disputes"):
            route = f"/v1/billing/{kind}/{whole[kind]}"
            shown = (await sees.client.get(route)).json()
            assert shown["id"] == whole[kind]
            assert shown["external_id"] is None
            for shut in (blind, other):
                assert (await shut.client.get(route)).status_code == 404
                listed = await shut.client.get(f"/v1/billing/{kind}")
                assert listed.json()["items"] == []

"""Credit notes as arithmetic: notes of an invoice, in any order and size, sum to it exactly."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.billing.utils.crediting import Billed, Reckoned, reckon, spread
from app.billing.utils.taxes import Line, note_tax, shares_of, taxes_of

TWENTY = Decimal(20)
Invoice = dict[int, Billed]
rates = st.sampled_from([Decimal(each) for each in ("0", "5.5", "7", "8.875", "19", "20", "25")])
lines = st.lists(st.tuples(st.integers(1, 10**7), rates), min_size=1, max_size=8)
discounts = st.lists(st.tuples(st.integers(-(10**4), 10**7).filter(bool), rates), min_size=1, max_size=8)


def billed(amounts: list[tuple[int, Decimal]]) -> Invoice:
    plain = [Line(amount=amount, rate=rate) for amount, rate in amounts]
    shares = shares_of(plain, taxes_of(plain))
    return {
        place: Billed(amount=line.amount, rate=line.rate, tax=share)
        for place, (line, share) in enumerate(zip(plain, shares, strict=True))
    }


def issue(invoice: Invoice, taken: dict[int, int]) -> Reckoned[int]:
    note = reckon(invoice, taken)
    for key, amount in note.amounts.items():
        line = invoice[key]
        invoice[key] = replace(
            line, credited=line.credited + amount, tax_credited=line.tax_credited + note.taxes[key]
        )
    return note


def total_of(invoice: Invoice) -> int:
    return sum(line.amount + line.tax for line in invoice.values())


def draw_note(data: st.DataObject, invoice: Invoice) -> dict[int, int]:
    """Some lines of what is left, some of them in part."""
    open_lines = [key for key, line in invoice.items() if line.left]
    chosen = data.draw(st.lists(st.sampled_from(open_lines), min_size=1, unique=True))
    taken = {}
    for key in chosen:
        left = invoice[key].left
        part = st.integers(1, left) if left > 0 else st.integers(left, -1)
        taken[key] = data.draw(part | st.just(left))
    return taken


def test_four_single_line_notes_of_the_vector() -> None:
    invoice = billed([(amount, TWENTY) for amount in (6833, 6833, 5750, 8500)])
    assert total_of(invoice) == 33499
    notes = [issue(invoice, {key: invoice[key].left}).total for key in list(invoice)]
    assert notes == [8200, 8200, 6900, 10199]
    assert sum(notes) == 33499


@pytest.mark.parametrize("order", [(3, 2, 1, 0), (1, 3, 0, 2), (2, 0, 3, 1)])
def test_the_last_one_issued_absorbs_the_rest_whichever_it_is(order: tuple[int, ...]) -> None:
    invoice = billed([(amount, TWENTY) for amount in (6833, 6833, 5750, 8500)])
    alone = {0: 8200, 1: 8200, 2: 6900, 3: 10200}
    notes = [(key, issue(invoice, {key: invoice[key].left}).total) for key in order]
    assert all(total == alone[key] for key, total in notes[:-1])
    assert sum(total for _, total in notes) == 33499


@settings(max_examples=60, deadline=None)
@given(lines, st.data())
def test_parts_sum_to_the_whole_and_never_exceed_it(
    amounts: list[tuple[int, Decimal]], data: st.DataObject
) -> None:
    invoice = billed(amounts)
    whole, taken = total_of(invoice), 0
    for _ in range(6):
        if not any(line.left for line in invoice.values()):
            break
        note = issue(invoice, draw_note(data, invoice))
        assert note.tax >= 0
        taken += note.total
        assert taken <= whole
    rest = {key: line.left for key, line in invoice.items() if line.left}
    if rest:
        taken += issue(invoice, rest).total
    assert taken == whole
    for rate in {line.rate for line in invoice.values()}:
        own = [line for line in invoice.values() if line.rate == rate]
        assert sum(line.tax_credited for line in own) == sum(line.tax for line in own)


@settings(max_examples=40, deadline=None)
@given(discounts, st.data())
def test_parts_sum_to_the_whole_with_discount_lines_too(
    amounts: list[tuple[int, Decimal]], data: st.DataObject
) -> None:
    invoice = billed(amounts)
    whole, taken = total_of(invoice), 0
    for _ in range(4):
        if any(line.left for line in invoice.values()):
            taken += issue(invoice, draw_note(data, invoice)).total
    rest = {key: line.left for key, line in invoice.items() if line.left}
    taken += issue(invoice, rest).total if rest else 0
    assert taken == whole


@given(st.integers(1, 10**9), st.integers(1, 10**9), rates)
def test_a_note_that_does_not_complete_takes_no_more_tax_than_is_left(
    net: int, left: int, rate: Decimal
) -> None:
    assert 0 <= note_tax(net, rate, whole=left, left=left, completes=False) <= left
    assert -left <= note_tax(-net, rate, whole=-left, left=-left, completes=False) <= 0


@pytest.mark.parametrize(
    ("left", "taken", "refused"),
    [(5, (1, 5), (6, 0, -1)), (-5, (-1, -5), (-6, 0, 1)), (0, (), (-1, 0, 1))],
)
def test_a_line_gives_what_is_left_of_it_and_of_its_sign(
    left: int, taken: tuple[int, ...], refused: tuple[int, ...]
) -> None:
    line = Billed(amount=left, rate=TWENTY, tax=0)
    assert all(line.takes(each) for each in taken)
    assert not any(line.takes(each) for each in refused)


@given(st.integers(0, 10**9), st.lists(st.integers(-10, 10**9), max_size=8))
def test_a_refund_is_taken_from_the_oldest_payments_first(amount: int, available: list[int]) -> None:
    parts = spread(amount, available)
    assert sum(parts) == min(amount, sum(max(each, 0) for each in available))
    assert all(0 <= part <= max(each, 0) for part, each in zip(parts, available, strict=True))
    short = [place for place, part in enumerate(parts) if part < max(available[place], 0)]
    assert not any(parts[place] for place in range(len(parts)) if short and place > short[0])

"""Money: minor units by ISO 4217, shares that sum, tax that is rounded once, amounts as people write them."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction

import pytest
from babel.numbers import get_currency_precision
from hypothesis import given
from hypothesis import strategies as st

from app.billing.exceptions import UnknownCurrencyError
from app.billing.utils.money import allocate, exponent_of, formatted, rounded, tax_of
from app.currencies import EXPONENTS

amounts = st.integers(-(10**15), 10**15)
weights = st.lists(st.integers(0, 10**12), min_size=1, max_size=30)
signed_weights = st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=30)
rates = st.decimals(0, 100, places=4)

# Where locale data writes fewer digits than ISO 4217 counts.
CLDR_DISAGREES = {
    "AFN", "ALL", "IQD", "IRR", "KPW", "LAK", "LBP", "MGA", "MMK", "RSD", "SOS", "SYP", "YER",
}  # fmt: skip


@pytest.mark.parametrize(
    ("currency", "digits"),
    [("EUR", 2), ("JPY", 0), ("BHD", 3), ("IQD", 3), ("CLF", 4), ("UYW", 4), ("UGX", 0), ("RSD", 2)],
)
def test_the_minor_unit_is_iso_4217s(currency: str, digits: int) -> None:
    assert exponent_of(currency) == digits


@pytest.mark.parametrize("code", ["XAU", "XXX", "XTS", "XDR", "eur", "DEM", "EURO", "", "E\x00R"])
def test_what_nobody_pays_with_is_refused(code: str) -> None:
    with pytest.raises(UnknownCurrencyError) as caught:
        exponent_of(code)
    assert caught.value.extra["errors"][0]["field"] == "currency"


def test_the_list_is_whole() -> None:
    """165 codes of the edition have a minor unit, 13 more have none."""
    assert len(EXPONENTS) == 165
    assert sorted(set(EXPONENTS.values())) == [0, 2, 3, 4]
    assert all(len(code) == 3 and code.isalpha() and code.isupper() for code in EXPONENTS)


def test_locale_data_disagrees_for_thirteen_currencies_and_is_not_asked() -> None:
    other = {code for code, digits in EXPONENTS.items() if get_currency_precision(code) != digits}
    assert other == CLDR_DISAGREES


@given(amounts, weights)
def test_shares_sum_to_the_whole_and_are_within_one_unit(total: int, given_weights: list[int]) -> None:
    shares = allocate(total, given_weights)
    assert sum(shares) == total
    whole = sum(given_weights)
    for share, weight in zip(shares, given_weights, strict=True):
        exact = Fraction(total * weight, whole) if whole else Fraction(total, len(given_weights))
        assert abs(share - exact) < 1


@given(st.integers(0, 10**15), weights)
def test_a_greater_weight_never_has_the_smaller_share(total: int, given_weights: list[int]) -> None:
    shares = allocate(total, given_weights)
    pairs = sorted(zip(given_weights, shares, strict=True))
    assert [share for _, share in pairs] == sorted(shares)


@given(amounts, signed_weights)
def test_shares_of_discounts_sum_too(total: int, given_weights: list[int]) -> None:
    shares = allocate(total, given_weights)
    assert sum(shares) == total
    whole = sum(given_weights)
    if whole:
        for share, weight in zip(shares, given_weights, strict=True):
            assert abs(share - Fraction(total * weight, whole)) < 1


def test_the_first_of_equals_gets_the_unit_that_is_left() -> None:
    assert allocate(100, [1, 1, 1]) == [34, 33, 33]
    assert allocate(-100, [1, 1, 1]) == [-34, -33, -33]
    assert allocate(5, [0, 0]) == [3, 2]
    assert allocate(0, []) == []


def test_a_total_without_weights_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="nothing to allocate"):
        allocate(1, [])


@given(amounts, rates)
def test_tax_is_the_exact_product_rounded_half_up(net: int, rate: Decimal) -> None:
    exact = Context(prec=60).multiply(Decimal(net), rate).scaleb(-2, Context(prec=60))
    expected = exact.quantize(Decimal(1), rounding=ROUND_HALF_UP, context=Context(prec=60))
    assert tax_of(net, rate) == int(expected)
    assert tax_of(-net, rate) == -tax_of(net, rate)


def test_halves_go_away_from_zero() -> None:
    assert [rounded(Fraction(each, 2)) for each in (1, 3, -1, -3, 0)] == [1, 2, -1, -2, 0]
    assert tax_of(250, Decimal(1)) == 3  # 2.5; to even would be 2


@pytest.mark.parametrize(
    ("amount", "currency", "locale", "text"),
    [
        (199_000, "EUR", "en", "€1,990.00"),
        (199_000, "EUR", "de-DE", "1.990,00\xa0€"),
        (-1990, "USD", "en-US", "-$19.90"),
        (1990, "JPY", "en", "¥1,990"),
        (1234, "IQD", "en", "IQD\xa01.234"),
        (1990, "RSD", "en", "RSD\xa019.90"),
        (12345, "CLF", "en", "CLF\xa01.2345"),
        (10**15 + 1, "EUR", "en", "€10,000,000,000,000.01"),
        (1990, "EUR", "no such; locale", "€19.90"),
        (1990, "EUR", "", "€19.90"),
        (1990, "EUR", "\x00" * 200, "€19.90"),
    ],
)
def test_an_amount_is_written_as_people_there_do(amount: int, currency: str, locale: str, text: str) -> None:
    assert formatted(amount, currency, exponent_of(currency), locale) == text

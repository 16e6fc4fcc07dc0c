"""Values of custom fields: one canonical form each, nothing that cannot be stored, numbers without loss."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.redaction import find
from app.technical.constants import FieldType
from app.technical.utils.values import UnfitValueError, canonical, read

OPTIONS = ["Chrome", "Firefox", "Safari"]
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=5,
)


@given(st.sampled_from(FieldType), anything)
def test_any_json_becomes_a_canonical_value_or_is_refused(kind, value):
    try:
        found = canonical(kind, value, OPTIONS)
    except UnfitValueError:
        return
    assert canonical(kind, found, OPTIONS) == found
    assert json.loads(json.dumps(found)) == found
    assert "\0" not in json.dumps(found)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**18), max_value=10**18))
def test_a_decimal_comes_back_exactly_however_it_was_written(number):
    written = format(number, "f")
    found = canonical(FieldType.number, written)
    assert Decimal(found) == number
    assert canonical(FieldType.number, written + ("0" if "." in written else ".0")) == found
    assert set(found) <= set("-.0123456789")
    assert not found.endswith(".")


@given(st.integers(-(10**20) + 1, 10**20 - 1))
def test_an_integer_of_any_length_that_fits_is_not_rounded(number):
    if not find(str(number)):
        assert canonical(FieldType.number, number) == str(number)


@pytest.mark.parametrize(
    ("given", "kept"),
    [(0.1, "0.1"), (1e3, "1000"), (-0.0, "0"), ("-0.00", "0"), ("007.50", "7.5"), (1e-7, "0.0000001")],
)
def test_a_number_is_kept_in_plain_decimal_notation(given, kept):
    assert canonical(FieldType.number, given) == kept


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("number", True),
        ("number", "1e5"),
        ("number", "١٢"),
        ("number", "NaN"),
        ("number", float("inf")),
        ("number", 1e300),
        ("number", 5e-324),
        ("number", 10**20),
        ("number", "1" * 5000),
        ("number", "4111111111111111"),
        ("boolean", 1),
        ("boolean", "true"),
        ("date", "2026-02-30"),
        ("date", "20260222"),
        ("date", "2026-W01-1"),
        ("text", 5),
        ("text", "a\0b"),
        ("text", "x" * 2001),
        ("url", "javascript:alert(1)"),
        ("url", "https://"),
        ("url", "https://user:secret@example.com/"),
        ("url", "https://exa mple.com"),
        ("url", "http://[::1"),
        ("url", "http://x:99999/"),
        ("url", "https:\\\\example.com"),
        ("select", "Opera"),
        ("select", ["Chrome"]),
        ("multiselect", "Chrome"),
        ("multiselect", ["Chrome", 1]),
    ],
)
def test_what_does_not_fit_is_refused(kind, value):
    with pytest.raises(UnfitValueError):
        canonical(FieldType(kind), value, OPTIONS)


@pytest.mark.parametrize(
    ("kind", "value", "kept"),
    [
        ("text", "  a\nb ", "a\nb"),
        ("text", "   ", None),
        ("text", "card 4111 1111 1111 1111", "card [card number removed, ending 1111]"),
        ("url", " https://example.com/a?b=c#d ", "https://example.com/a?b=c#d"),
        ("multiselect", ["Safari", "Chrome", "Safari"], ["Chrome", "Safari"]),
        ("multiselect", [], None),
        ("select", "", None),
        ("date", "2024-02-29", "2024-02-29"),
        ("boolean", False, False),
    ],
)
def test_what_fits_is_kept_in_one_form(kind: str, value: Any, kept: Any):
    assert canonical(FieldType(kind), value, OPTIONS) == kept


def test_a_filter_reads_what_a_query_can_write():
    assert read(FieldType.boolean, "true") is True
    assert read(FieldType.number, "12.50") == "12.5"
    assert read(FieldType.multiselect, "Safari", OPTIONS) == ["Safari"]
    for kind, text in ((FieldType.boolean, "1"), (FieldType.text, " "), (FieldType.date, "today")):
        with pytest.raises(UnfitValueError):
            read(kind, text)

"""Values of custom fields in their one canonical form, so that equal values are equal as JSON. Pure rules.

A number is kept and shown as a string in plain decimal notation (``"12.5"``), because JSON's numbers are
binary floats to most clients; it is taken as a JSON number or as such a string. A date is ``YYYY-MM-DD``. The
choices of a multiselect stand in the order of the field's options, each once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from app.redaction import find, redact
from app.technical.constants import FieldType

TEXT_MAX = 2_000
URL_MAX = 2_000
WHOLE_DIGITS = 20
DECIMALS = 20
NUMBER = re.compile(rf"[+-]?[0-9]{{1,{WHOLE_DIGITS}}}(\.[0-9]{{1,{DECIMALS}}})?", re.ASCII)
DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
NOT_IN_URLS = re.compile(r"[\x00-\x20\x7f-\xa0\u2028-\u202e\u2066-\u2069\ud800-\udfff\\]")


class UnfitValueError(ValueError):
    """The value is none of the field's; the message says what would be."""


def canonical(kind: FieldType, value: Any, options: Sequence[str] = ()) -> Any:
    """The value as it is stored; None for an empty text or choice, which is no value. ``UnfitValueError``.

    Idempotent: what it returns comes back as it is.
    """
    if value is None:
        return None
    if kind in (FieldType.select, FieldType.multiselect):
        return _chosen(value, options) if kind is FieldType.select else _all_chosen(value, options)
    return _PLAIN[kind](value)


def read(kind: FieldType, written: str, options: Sequence[str] = ()) -> Any:
    """The value that a query parameter asks for; of a multiselect, a list of one. ``UnfitValueError``."""
    if kind is FieldType.boolean:
        if written not in ("true", "false"):
            raise UnfitValueError("Expected `true` or `false`")
        return written == "true"
    found = canonical(kind, [written] if kind is FieldType.multiselect else written, options)
    if found is None:
        raise UnfitValueError("Expected a value")
    return found


def _text(value: Any) -> str | None:
    if not isinstance(value, str) or len(value) > TEXT_MAX:
        raise UnfitValueError(f"Expected a text of at most {TEXT_MAX} characters")
    if UNSTORABLE.search(value):
        raise UnfitValueError("Must not contain NUL or surrogates")
    return redact(value.strip())[:TEXT_MAX].strip() or None


def _number(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise UnfitValueError('Expected a number, or one in a string such as "12.50"')
    if isinstance(value, str):
        plain = value.strip()
    elif isinstance(value, int) and abs(value) >= 10**WHOLE_DIGITS:
        raise UnfitValueError(f"Expected at most {WHOLE_DIGITS} digits")
    else:
        plain = _shortest(value)
    if not NUMBER.fullmatch(plain):
        raise UnfitValueError(
            f"Expected a number of at most {WHOLE_DIGITS} digits before and {DECIMALS} after the point"
        )
    return _without_card(_normal(plain))


def _shortest(value: float) -> str:
    """The shortest decimal that reads as this float: 0.1 is 0.1; empty for what is far out of range."""
    exact = Decimal(repr(value))
    return format(exact, "f") if exact.is_finite() and abs(exact.adjusted()) <= 2 * DECIMALS else ""


def _normal(plain: str) -> str:
    sign, digits = ("-" if plain.startswith("-") else ""), plain.lstrip("+-")
    whole, _, decimals = digits.partition(".")
    whole, decimals = whole.lstrip("0") or "0", decimals.rstrip("0")
    if whole == "0" and not decimals:
        return "0"
    return f"{sign}{whole}.{decimals}" if decimals else sign + whole


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise UnfitValueError("Expected true or false")
    return value


def _date(value: Any) -> str:
    if isinstance(value, str) and DATE.fullmatch(value):
        try:
            return date.fromisoformat(value).isoformat()
        except ValueError:
            pass
    raise UnfitValueError("Expected a date such as 2026-11-22")


def _url(value: Any) -> str | None:
    if not isinstance(value, str) or len(value) > URL_MAX:
        raise UnfitValueError(f"Expected an address of at most {URL_MAX} characters")
    address = value.strip()
    if not address:
        return None
    try:
        parts = urlsplit(address)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits or parts.username is not None or NOT_IN_URLS.search(address):
        raise UnfitValueError("Expected an http or https address without a user name")
    return _without_card(address)


def _without_card(value: str) -> str:
    """A number or an address has no place for the words that stand for a card number elsewhere."""
    if find(value):
        raise UnfitValueError("Must not be or hold a payment card number")
    return value


def _chosen(value: Any, options: Sequence[str]) -> str | None:
    if value == "":
        return None
    if not isinstance(value, str) or value not in options:
        raise UnfitValueError("Expected one of the field's options")
    return value


def _all_chosen(value: Any, options: Sequence[str]) -> list[str] | None:
    if not isinstance(value, list) or not all(isinstance(each, str) and each in options for each in value):
        raise UnfitValueError("Expected a list of the field's options")
    return [each for each in options if each in value] or None


_PLAIN: dict[FieldType, Callable[[Any], Any]] = {
    FieldType.text: _text,
    FieldType.number: _number,
    FieldType.boolean: _boolean,
    FieldType.date: _date,
    FieldType.url: _url,
}

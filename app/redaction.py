"""Payment card numbers, found and removed before a text is stored, embedded or logged.

What counts as one: 13 to 19 digits (of any script) that pass the Luhn check (ISO/IEC 7812-1, annex B) and
begin and are as long as the numbers of a card scheme. Between the digits there may be white space, dashes,
dots and invisible characters, also the end of a line and the ``>`` that mail programs quote with. Digits so
separated are taken together when they are

- written as on cards: unbroken, or in groups of 4-4-4-4(-3), 4-6-5, 4-6-4 and the like,
- in any other grouping, if no further number stands beside them: columns of figures are not one number.

Left alone although they look alike: UUIDs and longer hexadecimal names, IBANs whose check digits are right,
and telephone numbers written with ``+`` (at most 15 digits, ITU-T E.164). Times since 1970 begin with 1,
IMEIs with other digits than cards of 15. An order number of 16 digits that begins with 4 is taken for a card
once in ten times: its last four digits remain, as PCI DSS 3.4.1 allows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SHORTEST, LONGEST = 13, 19
LONGEST_TELEPHONE = 15

INVISIBLE = "\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"
SPACES = " \t\x0b\x0c\x1c-\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
DASHES = "\\-_\u2010-\u2015\u2043\u207b\u2212\ufe58\ufe63\uff0d"
DOTS = ".\u00b7\u2022\u2024\u2027\u30fb\uff0e\uff65"
BETWEEN = f"[{SPACES}{DASHES}{DOTS}{INVISIBLE}]{{0,6}}+"
# Possessive, so that no text takes more than linear time. A line may end in the `=` of quoted-printable.
LINE_END = rf"(?:=?(?:\r\n?|\n)[ \t>]{{0,12}}+{BETWEEN})?+"
RUN = re.compile(rf"\d(?:{BETWEEN}{LINE_END}\d)+")
GROUP = re.compile(r"\d+")
BLANK = re.compile(rf"[{SPACES}\r\n]")

HEXADECIMAL = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32,}"
NAME = re.compile(rf"(?<![0-9a-z])(?:{HEXADECIMAL})(?![0-9a-z])", re.IGNORECASE)
IBAN = re.compile(r"(?<![0-9A-Za-z])[A-Z]{2}\d{2}(?: ?[0-9A-Z]{4}){2,7}(?: ?[0-9A-Z]{1,3})?(?![0-9A-Za-z])")

SHAPES = frozenset(
    {(4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 3, 3, 3), (6, 13)}
    | {(4, 4, 4, rest) for rest in (1, 2, 3)}
    | {(4, 4, 4, 4, rest) for rest in (1, 2, 3)}
)
LONGEST_SHAPE = max(map(len, SHAPES))
FIRST_GROUPS = {shape[0] for shape in SHAPES}

# First digits of the schemes and their lengths, from the issuers' published ranges. UATP (15 digits beginning
# with 1) is left out: it would take a tenth of all such ids for its few thousand cards.
SCHEMES = (
    ("4", "4", (13, 16, 19)),  # Visa
    ("51", "55", (16,)),  # Mastercard
    ("2221", "2720", (16,)),  # Mastercard
    ("34", "34", (15,)),  # American Express
    ("37", "37", (15,)),
    ("300", "305", range(14, 20)),  # Diners Club
    ("3095", "3095", range(14, 20)),
    ("36", "36", range(14, 20)),
    ("38", "39", range(14, 20)),
    ("3528", "3589", range(16, 20)),  # JCB
    ("6011", "6011", range(16, 20)),  # Discover
    ("644", "659", range(16, 20)),
    ("62", "62", range(16, 20)),  # UnionPay
    ("81", "82", range(16, 20)),  # UnionPay, RuPay
    ("60", "60", (16, 19)),  # RuPay, Hipercard, UkrCard
    ("50", "50", range(13, 20)),  # Maestro, Verve, Elo, Dankort
    ("56", "58", range(13, 20)),  # Maestro
    ("63", "63", range(13, 20)),
    ("67", "67", range(13, 20)),
    ("2200", "2205", range(16, 20)),  # Mir, BORICA
    ("8600", "8600", (16,)),  # UzCard
    ("9792", "9792", (16,)),  # Troy
    ("9860", "9860", (16,)),  # Humo
)
DOUBLED_DIGITS = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)  # the sum of the digits of twice as much


@dataclass(frozen=True, slots=True)
class CardNumber:
    """A card number in a text: ``text[start:end]``, its separators included."""

    start: int
    end: int
    last_four: str


@dataclass(frozen=True, slots=True)
class _Group:
    """Digits that stand together: where, and as ASCII."""

    start: int
    end: int
    digits: str


def redact(text: str) -> str:
    """The text with ``[card number removed, ending 1111]`` in place of each card number.

    A text without one comes back as it is. Redacting twice changes nothing further. Takes time linear in the
    text's length.
    """
    while found := find(text):
        parts, end = [], 0
        for each in found:
            parts += [text[end : each.start], f"[card number removed, ending {each.last_four}]"]
            end = each.end
        text = "".join([*parts, text[end:]])
    return text


def find(text: str) -> list[CardNumber]:
    """The card numbers of a text, in their order; they do not overlap.

    Without those that come to light only when these are gone: ``redact`` looks again.
    """
    if len(text) < SHORTEST:
        return []
    masked = IBAN.sub(_mask_iban, NAME.sub(_mask, text))
    return [
        CardNumber(groups[0].start, groups[-1].end, _digits(groups)[-4:])
        for run in RUN.finditer(masked)
        for groups in _cards(masked, [_group(each) for each in GROUP.finditer(masked, *run.span())])
    ]


def _mask(name: re.Match[str]) -> str:
    return "x" * len(name[0])


def _mask_iban(found: re.Match[str]) -> str:
    """The check of ISO 13616: the first four characters at the end, letters as numbers, modulo 97."""
    name = found[0].replace(" ", "")
    number = int("".join(str(int(each, 36)) for each in name[4:] + name[:4]))
    return _mask(found) if number % 97 == 1 else found[0]


def _group(found: re.Match[str]) -> _Group:
    digits = found[0] if found[0].isascii() else "".join(str(int(digit)) for digit in found[0])
    return _Group(found.start(), found.end(), digits)


def _digits(groups: Sequence[_Group]) -> str:
    return "".join(each.digits for each in groups)


def _cards(text: str, groups: list[_Group]) -> Iterator[list[_Group]]:
    """The card numbers of one run of digits and separators."""
    if _is_telephone(text, groups):
        return
    alone = 0  # where the digits begin that are in no card yet
    start = 0
    while start < len(groups):
        length = _shaped(groups, start)
        if length:
            yield from _of_any_shape(text, groups[alone:start])
            yield groups[start : start + length]
            alone = start + length
        start += length or 1
    yield from _of_any_shape(text, groups[alone:])


def _shaped(groups: list[_Group], start: int) -> int:
    """How many groups from ``start`` make a number that is written as on cards, the longest; 0 if none."""
    first = len(groups[start].digits)
    if first >= SHORTEST:
        return int(_is_card(groups[start : start + 1]))
    if first not in FIRST_GROUPS or not _is_begun(groups[start].digits):
        return 0
    for count in range(min(LONGEST_SHAPE, len(groups) - start), 1, -1):
        window = groups[start : start + count]
        if tuple([len(each.digits) for each in window]) in SHAPES and _is_card(window):
            return count
    return 0


def _of_any_shape(text: str, groups: list[_Group]) -> Iterator[list[_Group]]:
    """All of these digits, or else those that are held together by other separators than white space."""
    if _is_card(groups):
        yield groups
        return
    held: list[_Group] = []
    for each in groups:
        if held and BLANK.search(text, held[-1].end, each.start):
            if _is_card(held):
                yield held
            held = []
        held.append(each)
    if len(held) < len(groups) and _is_card(held):
        yield held


def _is_telephone(text: str, groups: list[_Group]) -> bool:
    before = text[groups[0].start - 1 : groups[0].start]
    return before in {"+", "\uff0b"} and sum(len(each.digits) for each in groups) <= LONGEST_TELEPHONE


def _is_card(groups: Sequence[_Group]) -> bool:
    length = 0
    for each in groups:
        length += len(each.digits)
        if length > LONGEST:
            return False
    digits = _digits(groups)
    return length >= SHORTEST and _is_issued(digits) and _passes_luhn(digits)


def _is_begun(digits: str) -> bool:
    return any(low <= digits[: len(low)] <= high for low, high, _ in SCHEMES)


def _is_issued(digits: str) -> bool:
    return any(low <= digits[: len(low)] <= high and len(digits) in lengths for low, high, lengths in SCHEMES)


def _passes_luhn(digits: str) -> bool:
    backwards = [int(digit) for digit in reversed(digits)]
    return (sum(backwards[::2]) + sum(DOUBLED_DIGITS[digit] for digit in backwards[1::2])) % 10 == 0

"""Card numbers are found however they are written; what only looks like one stays."""

from __future__ import annotations

import gc
import json
import logging
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.logs import JsonFormatter, RedactionFilter
from app.redaction import SCHEMES, find, redact

VISA = "4111111111111111"
# Test numbers that the card schemes and payment providers publish.
PUBLISHED = [
    "4111111111111111",
    "4012888888881881",
    "4222222222222",
    "5555555555554444",
    "5105105105105100",
    "2223003122003222",
    "378282246310005",
    "371449635398431",
    "6011111111111117",
    "30569309025904",
    "38520000023237",
    "3530111333300000",
    "6759649826438453",
    "6200000000000005",
    "2200000000000004",
    "6304000000000000",
    "4000002500003155002",
]


def luhn(digits: str) -> bool:
    """By the book, digit by digit from the right; not the code under test."""
    total = 0
    for index, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if index % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


@st.composite
def card_numbers(draw) -> str:
    low, high, lengths = draw(st.sampled_from(SCHEMES))
    prefix = str(draw(st.integers(int(low), int(high))))
    length = draw(st.sampled_from(list(lengths)))
    rest = length - len(prefix) - 1
    body = prefix + draw(st.text("0123456789", min_size=rest, max_size=rest))
    return next(body + check for check in "0123456789" if luhn(body + check))


@st.composite
def written(draw) -> tuple[str, str]:
    """(number, how somebody wrote it): any separators at any places, any script's digits."""
    number = draw(card_numbers())
    zero = draw(st.sampled_from("0\uff10\u0660\u0966\U0001d7ce"))
    digits = [chr(ord(zero) + int(digit)) for digit in number]
    gap = st.one_of(
        st.just(""),
        st.sampled_from([" ", "-", ".", " - ", "\u00a0", "\u2009", "\u2013", "\u200b"]),
        st.sampled_from(["\n", "\r\n> ", "=\n"]),
    )
    gaps = [draw(gap) for _ in digits[1:]]
    return number, digits[0] + "".join(
        between + digit for between, digit in zip(gaps, digits[1:], strict=True)
    )


@pytest.mark.parametrize("number", PUBLISHED)
def test_published_test_numbers_are_removed_but_for_their_last_four_digits(number):
    assert luhn(number), "the example itself"
    assert redact(f"card {number}, please") == f"card [card number removed, ending {number[-4:]}], please"


@given(
    written(),
    st.sampled_from(["", "Card: ", "PAN=", "no. ", "(", "x", "\n"]),
    st.sampled_from(["", ".", " exp 12/27", ")", "x"]),
)
def test_any_card_number_in_any_writing_is_gone(case, before, after):
    number, text = case
    redacted = redact(before + text + after)
    assert redacted == f"{before}[card number removed, ending {number[-4:]}]{after}"


@given(card_numbers(), st.sampled_from([" 12/27 123", " 123 12", "-99", " 4", "\n12 monkeys"]))
def test_numbers_beside_a_card_written_as_on_the_card_do_not_hide_it(number, after):
    for text in (number, f"{number[:4]} {number[4:8]} {number[8:12]} {number[12:]}"):
        if len(number) == 16:
            left = "".join(char for char in redact(text + after) if char.isdecimal())
            assert number[:12] not in left


@given(st.text(st.characters(exclude_categories=["Nd", "Cs"]), max_size=200))
def test_a_text_without_digits_comes_back_as_it_is(text):
    assert redact(text) == text


@given(
    st.lists(
        st.one_of(
            st.text(max_size=8),
            written().map(lambda case: case[1]),
            st.from_regex(r"[0-9]{1,6}[ .\-\n]", fullmatch=True),
        ),
        max_size=12,
    )
)
def test_redacting_twice_changes_nothing_further(parts):
    once = redact("".join(parts))
    assert redact(once) == once
    assert find(once) == []


@given(st.lists(st.one_of(st.text(max_size=8), written().map(lambda case: case[1])), max_size=8))
def test_what_is_found_has_its_place_in_the_text_and_passes_the_check(parts):
    text = "".join(parts)
    end = 0
    for each in find(text):
        assert end <= each.start < each.end <= len(text)
        digits = "".join(str(int(char)) for char in text[each.start : each.end] if char.isdecimal())
        assert luhn(digits)
        assert 13 <= len(digits) <= 19
        assert digits.endswith(each.last_four)
        end = each.end


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111112",  # fails the check
        "1700000000000 1700000000000000 1700000000000000000",  # milli-, micro-, nanoseconds since 1970
        "2026-11-22 21:34:00.123456",
        "2026-11-22T21:34:00.123456789Z",
        "+49 1512 3456787",  # E.164; as a Visa number of 13 digits it passes the check
        "+4915123456787",
        "DE89 3704 0044 0532 0130 00",
        "GB33BUKB20201555555555",
        "41111111-1111-4111-8111-111111111111",
        "0123456789abcdef4111111111111111",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "35 693803 564380 9",  # an IMEI, which passes the check
        "6833, 6833, 5750, 8500",
        "4000\n1200\n3300\n5555\n1234\n2345\n",
        "4 450  1 200  14 111  2 222",
        "41111111111111111111111111111",  # longer than any card number
        "411111111111",  # shorter
        "10.0.0.1 192.168.100.200",
    ],
)
def test_what_only_looks_like_a_card_number_stays(text):
    assert redact(text) == text


def test_the_telephone_example_is_one_that_would_be_taken_without_its_plus():
    assert redact("49 1512 3456787") != "49 1512 3456787"


def test_a_number_that_stands_alone_only_when_another_is_gone_goes_too():
    assert redact("37 8282 2463 10005 41-11-1111-111111-11") == (
        "[card number removed, ending 0005] [card number removed, ending 1111]"
    )


def test_an_order_number_is_eaten_no_more_often_than_its_check_digit_says():
    """Of all the 16-digit numbers with a known beginning, every tenth; of the others none."""
    taken = sum(bool(find(f"{prefix}{number:012d}")) for prefix in ("4000", "7000") for number in range(1000))
    assert taken == 100


@pytest.mark.parametrize(
    "hostile",
    [
        "1 ",
        "4111 ",
        "1\n        ",
        "1\n>>>>>>>>>>>>",
        "0-",
        "AB12 ",
        "4111111111111111 ",
        "11111111-1111-",
        "=",
    ],
)
def test_time_grows_no_faster_than_the_text(hostile):
    def seconds(size: int) -> float:
        text = hostile * (size // len(hostile))
        began = time.process_time()
        find(text)
        return time.process_time() - began

    gc.disable()  # whose own work depends on what else there is
    try:
        small, large = (min(seconds(size) for _ in range(3)) for size in (10_000, 80_000))
    finally:
        gc.enable()
    assert large < 8 * 4 * max(small, 0.001)


class TestLogs:
    def line(self, *arguments, **options) -> dict:
        records = []
        handler = logging.Handler()
        handler.addFilter(RedactionFilter())
        handler.emit = lambda record: records.append(JsonFormatter().format(record))  # type: ignore[method-assign]  # a handler for this test
        logger = logging.getLogger("tests.redaction")
        logger.addHandler(handler)
        try:
            logger.error(*arguments, **options)
        finally:
            logger.removeHandler(handler)
        assert VISA not in records[0]
        return json.loads(records[0])

    def test_no_line_carries_one_in_its_message_fields_or_exception(self):
        try:
            raise ValueError(f"refused {VISA}")
        except ValueError:
            line = self.line("paid with %s", VISA, extra={"card": int(VISA), "order": 7}, exc_info=True)
        assert line["message"] == "paid with [card number removed, ending 1111]"
        assert line["card"] == "[card number removed, ending 1111]"
        assert line["order"] == 7
        assert "refused [card number removed, ending 1111]" in line["exception"]

    def test_other_lines_stay_as_they_are(self):
        assert self.line("took %d ms", 12, extra={"path": "/v1/x"})["message"] == "took 12 ms"

    def test_a_wrong_call_of_the_log_is_not_raised_at_the_caller(self):
        record = logging.LogRecord("x", logging.INFO, "x", 1, "%d", ("no number",), None)
        assert RedactionFilter().filter(record) is True

"""Reading exports: no byte of a file is lost, wherever it is cut, and no row costs another one."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.conversations.constants import MessageKind, Speaker
from app.encodings import Encoding, Sniffer, as_utf8
from app.technical.constants import Status
from app.technical.importing.incoming import RowRefusedError
from app.technical.importing.mapping import Reading, to_ticket
from app.technical.importing.names import KNOWN, NEEDLESS, plain
from app.technical.importing.records import RECORD_MAX, Format, LayoutError, Record, lay_out, read_records
from app.technical.importing.values import ValueRefusedError, address_of, moment_of, tags_of

NOW = datetime(2026, 11, 22, tzinfo=UTC)
CELL = st.text(st.characters(codec="utf-8", exclude_characters="\r\0\x1a"), max_size=30)


async def pieces(content: bytes, size: int = 7) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def read(content: bytes, size: int = 7, wanted: Format | None = None) -> list[Record]:
    layout = await lay_out(pieces(content, size), wanted)
    rest = pieces(content[layout.start :], size)
    return [each async for each in read_records(rest, layout, offset=layout.start, line=layout.line)]


def ticket(**fields: Any) -> Any:
    return to_ticket({"id": 1, "subject": "x"} | fields, Reading(), line=1, now=NOW)


def sniffed(content: bytes, size: int = 5) -> Encoding:
    sniffer = Sniffer()
    for start in range(0, len(content), size):
        sniffer.feed(content[start : start + size])
    return sniffer.result()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(CELL, min_size=3, max_size=3), max_size=6),
    st.sampled_from(",;\t|"),
    st.integers(min_value=1, max_value=40),
)
async def test_csv_is_read_as_it_was_written_however_it_comes_in_pieces(rows, delimiter, size):
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([["id", "subject", "description"], *rows])
    found = await read(buffer.getvalue().encode(), size)
    kept = [dict(zip(("id", "subject", "description"), each, strict=True)) for each in rows]
    assert [each.problem for each in found] == [None] * len(kept)
    assert [each.fields for each in found] == kept


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.dictionaries(CELL, CELL, max_size=3), min_size=1, max_size=8),
    st.integers(min_value=0, max_value=7),
)
async def test_reading_goes_on_at_any_record_where_it_stopped(rows, start):
    content = b"".join(json.dumps(each).encode() + b"\n" for each in rows)
    layout = await lay_out(pieces(content), None)
    whole = await read(content)
    assert [each.fields for each in whole] == rows
    place = whole[min(start, len(whole) - 1)]
    rest = read_records(pieces(content[place.end :]), layout, offset=place.end, line=place.next_line)
    assert [each async for each in rest] == whole[whole.index(place) + 1 :]


async def test_a_quote_that_is_never_closed_costs_its_line_only():
    content = b'id,subject\n1,a\n2,"broken\n3,c\n4,d\n'
    found = await read(content)
    assert [(each.line, each.problem) for each in found] == [
        (2, None),
        (3, "A quote is not closed"),
        (4, None),
        (5, None),
    ]
    assert found[1].raw == '2,"broken'


async def test_a_stray_quote_in_a_cell_is_a_letter():
    found = await read(b'id,subject\n1,5" disk\n2,6" disk\n')
    assert [each.fields["subject"] for each in found] == ['5" disk', '6" disk']


async def test_too_many_cells_and_too_long_lines_fail_alone():
    long = b'{"id": 2, "subject": "' + b"x" * RECORD_MAX + b'"}\n'
    found = await read(b'{"id": 1}\n' + long + b'{"id": 3}\n', size=2**20)
    assert [each.problem is None for each in found] == [True, False, True]
    assert found[2].line == 3
    cells = await read(b"id,subject\n1,a,b\n2,c,,\n")
    assert [each.problem for each in cells] == ["Has 3 cells, the first line 2", None]


@pytest.mark.parametrize("content", [b"", b"\n \n", b'[{"id": 1}]'])
async def test_what_is_no_list_is_said_so(content):
    with pytest.raises(LayoutError):
        await lay_out(pieces(content), None)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("id;Größe\n", "utf-8"),
        ("id;Größe\n", "utf-8-sig"),
        ("id;Größe\n", "utf-16"),
        ("id,subject\n", "utf-16-le"),
        ("id,subject\n", "utf-16-be"),
        ("id;Größe\n", "latin-1"),
        ("id;5 € “now”\n", "cp1252"),
    ],
)
def test_every_encoding_comes_out_as_the_same_text(text, encoding):
    content = text.encode(encoding)
    out = b"".join(as_utf8([content[:3], content[3:]], sniffed(content), size=4))
    assert out.decode() == text


def test_utf8_that_breaks_off_at_the_end_is_none():
    assert sniffed("ä".encode()[:1]) is Encoding.latin1


def test_pieces_have_one_size_and_lines_one_end():
    made = list(as_utf8([b"a\r", b"\nb\rc\0\n"], Encoding.utf8, size=3))
    assert [len(each) for each in made] == [3, 3]
    assert b"".join(made) == b"a\nb\nc\n"


@given(st.binary(max_size=200))
def test_any_bytes_become_text(content):
    b"".join(as_utf8([content], sniffed(content), size=16)).decode()


def test_no_name_is_known_and_needless_at_once():
    assert set(KNOWN) & NEEDLESS == set()
    assert all(plain(each) == each for each in {*KNOWN, *NEEDLESS})


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2025-03-01T10:00:00Z", datetime(2025, 3, 1, 10, tzinfo=UTC)),
        ("2025-03-01 10:00:00 UTC", datetime(2025, 3, 1, 10, tzinfo=UTC)),
        ("2025/03/01 10:00", datetime(2025, 3, 1, 10, tzinfo=UTC)),
        ("2025-03-01T12:00:00+02:00", datetime(2025, 3, 1, 10, tzinfo=UTC)),
        ("-", None),
        (None, None),
    ],
)
def test_times_are_read_as_systems_write_them(written, moment):
    assert moment_of(written, now=NOW, zone=UTC) == moment


@pytest.mark.parametrize("written", ["2999-01-01", "1900-01-01", "tomorrow", "0001-01-01T00:00:00+14:00", {}])
def test_impossible_times_are_refused(written):
    with pytest.raises(ValueRefusedError):
        moment_of(written, now=NOW, zone=UTC)


def test_tags_and_addresses():
    assert tags_of("b A  b") == ["a", "b"]
    assert tags_of("two words, Other") == ["other", "two words"]
    assert tags_of(["X", "x"]) == ["x"]
    assert address_of("Ada B <Ada@Example.com>") == ("Ada B", "ada@example.com")
    assert address_of("Ada") == ("Ada", None)
    assert address_of("-") == (None, None)


def test_all_that_is_wrong_with_a_row_is_told_at_once():
    with pytest.raises(RowRefusedError) as refused:
        ticket(
            id="", status="odd", priority="odd", created_at="odd", comments=[{"body": "x", "public": "odd"}]
        )
    assert {each.field for each in refused.value.problems} == {
        "external_id",
        "status",
        "priority",
        "created_at",
        "messages[0]",
    }


def test_the_first_message_has_one_identity_with_comments_and_without():
    """So that an export without comments, and later one with them, tell the same thing once."""
    alone = ticket(description="It fails.")
    whole = ticket(
        description="It fails.", comments=[{"id": 9, "body": "It fails."}, {"id": 10, "body": "Yes."}]
    )
    assert [each.key for each in alone.messages] == ["first"]
    assert [each.key for each in whole.messages] == ["first", "10"]


def test_messages_stand_in_the_order_of_their_times():
    comments = [
        {"body": "later", "created_at": "2025-01-02", "internal": True, "sender": "Agent"},
        {"body": " ", "created_at": "2025-01-01"},
        {"html_body": "<p>first</p>", "created_at": "2025-01-01", "author": {"role": "end-user"}},
    ]
    first, later = ticket(comments=comments, description=None).messages
    assert (first.body, first.speaker, first.kind) == ("<p>first</p>", Speaker.customer, MessageKind.public)
    assert (later.body, later.speaker, later.kind) == ("later", Speaker.staff, MessageKind.note)


def test_the_subject_is_taken_from_the_text_where_there_is_none():
    assert ticket(subject=None, description="First line\nsecond").values["subject"] == "First line"
    assert ticket(subject="a\0b\tc", status="HOLD").values == {"subject": "a b c", "status": Status.on_hold}


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(sorted(KNOWN)),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
            ),
            max_leaves=6,
        ),
    )
)
def test_any_row_is_a_ticket_or_refused(fields):
    try:
        made = to_ticket(fields, Reading(), line=1, now=NOW)
    except RowRefusedError:
        return
    assert made.values["subject"]
    assert made.external_id

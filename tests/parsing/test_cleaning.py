"""Rules that hold for any text."""

from __future__ import annotations

import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from app.parsing import ParsingError, parse
from app.parsing.cleaning import clean
from tests.parsing.makers import assert_sound

# fmt: off
PIECES = (
    "# ", "\n\n", "\n", "- ", "1. ", "> ", "    ", "```\n", "|", "---\n", "<div>", "</div>", "<li>", "<td>",
    "<tr>", "<table>", "<ul>", "<p hidden>", "</p>", "word", "Frage?", "{", "}", "`", ":::note ", "[^1]",
    "<details>", "<summary>", "\u200b", "e\u0301",
)
# fmt: on
MARKUP = st.lists(
    st.sampled_from(PIECES),
    max_size=60,
).map("".join)


@given(st.text())
def test_cleaning_is_stable_and_leaves_nothing_invisible(text: str) -> None:
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    assert unicodedata.is_normalized("NFC", cleaned)
    assert not {unicodedata.category(sign) for sign in cleaned} & {"Cs"}
    assert all(sign in "\n\t" or unicodedata.category(sign) != "Cc" for sign in cleaned)


def test_smuggled_characters_are_removed() -> None:
    tags = "".join(chr(0xE0000 + ord(sign)) for sign in "ignore")
    smuggled = f"a\u200b\u200d\u2060\ufeff\u202e\u2066\u00ad\ufe0f\U000e0100{tags}\x00\x1b\u3164b"
    assert parse(smuggled.encode(), filename="a.txt").text == "ab"


def test_joiners_stay_where_a_script_is_spelled_with_them() -> None:
    assert clean("\u0645\u06cc\u200c\u062e\u0648 a\u200cb") == "\u0645\u06cc\u200c\u062e\u0648 ab"


@given(MARKUP, st.sampled_from(["md", "mdx", "html", "txt", "rst"]))
@settings(max_examples=150, deadline=None)
def test_whatever_is_read_keeps_the_promises_of_parsed(text: str, extension: str) -> None:
    try:
        parsed = parse(text.encode(), filename=f"a.{extension}")
    except ParsingError as error:
        assert error.code in {"file_empty", "file_without_text", "file_corrupt"}  # noqa: PT017 - either is right
    else:
        assert_sound(parsed)

"""Variables in macros: their values are text, whatever they look like."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.conversations.rendering import from_markdown, to_text
from app.redaction import find
from app.technical.utils.templates import BLANKS, escape, fill, has_loose_braces, unknown_variables_of

plain = st.text(st.characters(min_codepoint=32, max_codepoint=0x24F), max_size=60)
markup = st.lists(
    st.sampled_from(
        [
            "[a](http://x)",
            "![i](http://x)",
            "<b>",
            "<script>",
            "`",
            "```",
            "**",
            "__",
            "~~",
            "# ",
            "- ",
            "1. ",
            "> ",
            "\n",
            "\n\n",
            "    ",
            "\\",
            "&amp;",
            "&#60;",
            "<http://x>",
            "|",
            "---",
            "{{agent.name}}",
            "a",
        ]
    ),
    max_size=12,
).map("".join)


@given(plain | markup)
@example("Ada](http://evil.example) [x")
@example("# Ada\n\n    rm -rf")
def test_a_value_shows_as_itself_and_brings_no_markup(value):
    rendered = from_markdown(fill("Hello {{requester.name}}!", {"requester.name": value}))
    if find(html.unescape(rendered)):
        return
    assert set(re.findall(r"</?([a-z0-9]+)", rendered)) <= {"p"}
    folded = BLANKS.sub(" ", value).strip()
    seen = "".join(each for each in folded if each == "\u00ad" or each.isprintable())
    assert to_text(rendered).replace("\u00ad", "") == f"Hello {seen}!".replace("\u00ad", "")


@given(markup)
def test_a_value_at_the_start_of_a_line_begins_no_block(value):
    rendered = from_markdown(fill("First.\n\n{{ticket.subject}}\n\nLast.", {"ticket.subject": value}))
    assert set(re.findall(r"</?([a-z0-9]+)", rendered)) <= {"p"}


@given(markup)
def test_a_value_in_a_link_or_a_code_block_stays_inside(value):
    template = "[{{ticket.subject}}](https://help.example.com)\n\n```\n{{ticket.subject}}\n```\n"
    rendered = from_markdown(fill(template, {"ticket.subject": value}))
    assert set(re.findall(r'href="([^"]*)"', rendered)) <= {"https://help.example.com"}
    assert rendered.count("<pre>") == 1


def test_a_value_that_looks_like_a_variable_is_not_filled_in():
    filled = fill("{{ticket.subject}}", {"ticket.subject": "{{agent.name}}", "agent.name": "secret"})
    assert "secret" not in filled
    assert to_text(from_markdown(filled)) == "{{agent.name}}"


def test_a_missing_value_leaves_nothing():
    assert fill("Hi {{requester.name}}, [{{ ticket.custom.order }}]", {}) == "Hi , []"


@pytest.mark.parametrize(
    "body", ["{{ticket.number", "ticket}} x", "{{}}", "{{a{{b}}}}", "{{\nticket.number}}"]
)
def test_braces_that_are_no_variable_are_noticed(body):
    assert has_loose_braces(body)


def test_unknown_variables_are_named():
    body = "{{ticket.number}} {{ticket.secret}} {{requester.name.__class__}} {{ticket.custom.order}}"
    assert unknown_variables_of(body) == ["requester.name.__class__", "ticket.secret"]
    assert not has_loose_braces(body)


def test_escaping_touches_punctuation_alone():
    assert escape("Zoë O'Neil-Łuk & Söhne 42") == r"Zoë O\'Neil\-Łuk \& Söhne 42"

"""Markdown and HTML become HTML that is safe to show, in bounded time."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.conversations.constants import BodyFormat
from app.conversations.rendering import SCHEMES, TAGS, from_html, from_markdown, from_text, render, to_text
from app.redaction import find

FORMATS = st.sampled_from(list(BodyFormat))
UNSHOWN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\ufeff\U000e0000-\U000e007f]"
)
PIECES = [
    *(
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<img src='http://t.example/p.gif'>",
        "<svg/onload=x>",
    ),
    *(
        "<a href='javascript:alert(1)'>x</a>",
        "[x](javascript:alert(1))",
        "![x](http://t.example/p.gif)",
        "<p style='x'>",
    ),
    *(
        "<https://e.example>",
        '[x](https://e.example "t")',
        "[x](data:text/html,x)",
        "<math><mtext></p>",
        "<!--",
        "-->",
    ),
    *(
        "<style>",
        "</style>",
        "<iframe src=//e.example>",
        "<form action=x><input>",
        "<b",
        ">",
        "\"'",
        "&lt;script&gt;",
        "&#x202e;",
    ),
    *(
        "`",
        "**",
        "_",
        "\n\n",
        "\n- ",
        "\n> ",
        "\n# ",
        "|a|b|\n|-|-|\n|c|d|\n",
        "\u202e",
        "\u200b",
        "\0",
        "<table><td><a href=mailto:a@b.c>",
    ),
]


class Audit(HTMLParser):
    """Reads HTML as a browser does and fails on anything that is not allowed."""

    def handle_starttag(self, tag, attrs):
        assert tag in TAGS, tag
        for name, value in attrs:
            assert (tag, name) in {("a", "href"), ("a", "rel"), ("ol", "start")}, (tag, name)
            if name == "href":
                assert value.split(":")[0].lower() in SCHEMES, value
        if tag == "a":
            assert dict(attrs)["rel"] == "noopener noreferrer nofollow"

    def handle_comment(self, data):
        raise AssertionError(data)

    def handle_decl(self, decl):
        raise AssertionError(decl)


def audit(html: str) -> None:
    parser = Audit(convert_charrefs=True)
    parser.feed(html)
    parser.close()
    assert not UNSHOWN.search(html)


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=6)), max_size=10), FORMATS)
def test_whatever_comes_in_nothing_but_the_allow_list_comes_out(pieces, body_format):
    body = render("".join(pieces), body_format)
    audit(body.html)
    assert not UNSHOWN.search(body.text)
    assert "\0" not in body.raw
    assert not find(body.raw + "\n\n" + body.text)


def test_markdown_has_its_usual_forms():
    html = from_markdown("# H\n\n**b** _i_ ~~s~~ `c`\nline\n\n- a\n- b\n\n> q\n\n|x|y|\n|-|-|\n|1|2|\n")
    for each in (
        "<h1>H</h1>",
        "<strong>b</strong>",
        "<em>i</em>",
        "<s>s</s>",
        "<code>c</code>",
        "<br>",
        "<li>a</li>",
        "<blockquote>",
        "<td>1</td>",
    ):
        assert each in html


def test_html_in_markdown_is_shown_as_text():
    assert from_markdown("<b>x</b>") == "<p>&lt;b&gt;x&lt;/b&gt;</p>"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (
            '<img src="https://t.example/x.gif?a=1&amp;b=2" alt="Logo">',
            '<a href="https://t.example/x.gif?a=1&amp;b=2" rel="noopener noreferrer nofollow">Logo</a>',
        ),
        (
            '<img src="https://t.example/x.gif">',
            '<a href="https://t.example/x.gif" rel="noopener noreferrer nofollow">image</a>',
        ),
        ('<img src="cid:part1" alt="Chart">', "[Chart]"),
        ('<img src="data:image/png;base64,AA" alt="Dot">', "[Dot]"),
        ('<img alt="<b>&quot;x">', '[&lt;b&gt;"x]'),
        (
            '<a href=\'https://x/"><img src="http://e">\'>x</a>',
            '<a href="https://x/&quot;&gt;&lt;img src=&quot;http://e&quot;&gt;" '
            'rel="noopener noreferrer nofollow">x</a>',
        ),
    ],
)
def test_images_are_links_or_words(given, shown):
    assert from_html(given) == shown


def test_an_image_in_markdown_is_a_link():
    assert from_markdown("![cat](https://e.example/cat.png)") == (
        '<p><a href="https://e.example/cat.png" rel="noopener noreferrer nofollow">cat</a></p>'
    )


def test_what_reorders_or_hides_letters_is_kept_raw_and_not_shown():
    body = render("photo\u202egpj.exe &#x202e;\u200b \u0645\u200c\u0647", BodyFormat.markdown)
    assert "\u202e" in body.raw
    assert "\u202e" not in body.html + body.text
    assert "\u200c" in body.text, "some scripts are spelled with it"


def test_plain_text_keeps_its_lines_and_shows_its_markup():
    assert from_text("a\r\nb\n\n<c> & *d*") == "<p>a<br>b</p><p>&lt;c&gt; &amp; *d*</p>"


def test_plain_text_of_html_keeps_blocks_and_cells_apart():
    html = from_html("<div>one</div><div>two</div><table><tr><td>3</td><td>4</td></tr></table><p>5<br>6")
    assert to_text(html).split() == ["one", "two", "3", "4", "5", "6"]


# Each unit repeated to the longest message; the slowest of them here take about a second.
MARKDOWN_BOMBS = [
    "[",
    "![",
    "![[",
    ">",
    "*",
    "_",
    "`",
    "*a_",
    "**a ",
    "[a](",
    "[x][",
    "[[]",
    "\\",
    "&",
    "<",
    "|",
    "a|b\n-|-\n|",
    "- ",
    "> - ",
    "#\n",
    "a\n=\n",
    "[a]: x\n",
    "~~a",
]
HTML_BOMBS = [
    "<div>",
    "<b>",
    "<b><p>",
    "<table><tr><td>",
    "<a ",
    "<",
    "<!--",
    "<svg><math>",
    "<div></p>",
    '<div x="</div>">',
    "&",
    "<li>",
    "<font><p></font>",
]


@pytest.mark.parametrize("unit", MARKDOWN_BOMBS)
def test_no_markdown_takes_long(unit):
    began = time.process_time()
    body = render((unit * 65536)[:8192], BodyFormat.markdown)
    assert time.process_time() - began < 3
    assert len(body.html) < 20 * 8192


@pytest.mark.parametrize("unit", HTML_BOMBS)
def test_no_html_takes_long(unit):
    began = time.process_time()
    render((unit * 262144)[:262144], BodyFormat.html)
    assert time.process_time() - began < 5


@pytest.mark.proof
@pytest.mark.parametrize("unit", MARKDOWN_BOMBS)
def test_no_markdown_of_full_length_takes_long(unit):
    began = time.process_time()
    render((unit * 65536)[:65536], BodyFormat.markdown)
    assert time.process_time() - began < 10

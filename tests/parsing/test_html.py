"""HTML: the content and nothing else."""

from __future__ import annotations

import pytest

from app.parsing import ParsingError, parse
from tests.parsing.makers import assert_sound, texts


def page(body: str, head: str = "") -> bytes:
    return f'<!doctype html><html lang="de-AT"><head>{head}</head><body>{body}</body></html>'.encode()


def test_navigation_is_left_out_and_content_kept() -> None:
    parsed = parse(
        page(
            "<header>Logo</header><nav>Menu</nav><aside>Ads</aside><div class='breadcrumb'>A / B</div>"
            "<div id='cookie-banner'>Cookies!</div>"
            "<h1>Refunds</h1><p>Within <b>14</b>\n days.</p><footer>(c)</footer>",
            "<title>Refunds | Acme</title>",
        )
    )
    assert texts(parsed) == [("heading1", "Refunds"), ("paragraph", "Within 14 days.")]
    assert (parsed.title, parsed.language) == ("Refunds", "de")


def test_the_main_element_wins_over_the_rest_of_the_body() -> None:
    parsed = parse(
        page("<p>before</p><main><h2>In</h2><p>main</p></main><p>after</p>", "<title>T - Site</title>")
    )
    assert texts(parsed) == [("heading2", "In"), ("paragraph", "main")]
    assert parsed.title == "T"


@pytest.mark.parametrize(
    "hidden",
    [
        "<p hidden>EVIL</p>",
        "<p aria-hidden=true>EVIL</p>",
        "<p style='display: none'>EVIL</p>",
        "<p style='DISPLAY:NONE !important'>EVIL</p>",
        "<p style='visibility:hidden'>EVIL</p>",
        "<p style='font-size:0'>EVIL</p>",
        "<p style='font-size: 0px; color: red'>EVIL</p>",
        "<p style='opacity:0'>EVIL</p>",
        "<p style='position:absolute;left:-9999px'>EVIL</p>",
        "<p style='color:#fff'>EVIL</p>",
        "<div style='display:none'><div><p>EVIL</p></div></div>",
        "<!-- EVIL -->",
        "<script>EVIL</script>",
        "<style>EVIL</style>",
        "<template>EVIL</template>",
        "<pre><span hidden>EVIL</span></pre>",
        "<table><tr><td>a</td><td><span hidden>EVIL</span>b</td></tr></table>",
    ],
)
def test_hidden_text_never_reaches_the_text(hidden: str) -> None:
    parsed = parse(page(f"<p>seen</p>{hidden}<p>seen too</p>"))
    assert "EVIL" not in parsed.text
    assert "seen too" in parsed.text


def test_white_text_on_a_dark_background_is_seen() -> None:
    parsed = parse(page("<div style='background:#000'><p style='color:white'>readable</p></div>"))
    assert parsed.text == "readable"


def test_only_the_platform_switches_of_help_pages_keep_their_hidden_variants() -> None:
    switch = (
        "<p>Choose <span id='swlnsys1' class='switchinline'><span hidden='true' id='MACx'>Prefs</span>"
        "<span hidden='true' id='defaultx'>Options</span></span> - View, "
        "<span id='MACx' hidden>EVIL</span>then OK.</p>"
    )
    assert parse(page(switch)).text == "Choose (macOS: Prefs; otherwise: Options) - View, then OK."


def test_lists_keep_their_numbers_and_nesting() -> None:
    parsed = parse(page("<ol start=3><li>a<ul><li>b</li></ul></li><li><p>c</p><p>d</p></li></ol>"))
    assert texts(parsed) == [("list", "3. a\n  - b\n4. c\n  d")]


def test_code_within_a_list_is_verbatim_and_the_numbering_goes_on() -> None:
    parsed = parse(page("<ol><li>run<pre>if x:\n    y</pre></li><li>done</li></ol>"))
    assert texts(parsed) == [("list", "1. run"), ("code", "if x:\n    y"), ("list", "2. done")]


def test_a_cell_that_spans_rows_is_repeated_in_each_row() -> None:
    table = (
        "<table><tr><th>Plan<th>Term<th>Price</tr>"
        "<tr><td rowspan=2>Pro<td>month<td>9</tr><tr><td>year<td>90</tr></table>"
    )
    assert texts(parse(page(table))) == [
        ("table", "| Plan | Term | Price |\n| Pro | month | 9 |\n| Pro | year | 90 |")
    ]


def test_layout_tables_are_read_as_text() -> None:
    nested = "<table><tr><td><h2>A</h2></td></tr><tr><td><table><tr><td>1<td>2</tr></table></td></tr></table>"
    assert texts(parse(page(nested))) == [("heading2", "A"), ("table", "| 1 | 2 |")]


def test_absurd_spans_do_not_blow_up() -> None:
    parsed = parse(page("<table><tr><td colspan=99999 rowspan=99999>a<td>b</tr></table>"))
    assert len(parsed.text) < 1000


def test_a_question_with_its_short_answer_is_one_block() -> None:
    parsed = parse(page("<details><summary>Can I cancel?</summary><p>Yes.</p><p>Any time.</p></details>"))
    assert texts(parsed) == [("question_answer", "Can I cancel?\nYes.\nAny time.")]


def test_links_become_their_text_and_images_their_alt_text() -> None:
    parsed = parse(
        page("<p>See <a href='https://evil.example'>the guide</a> <img src=x alt='a chart of sales'>.</p>")
    )
    assert parsed.text == "See the guide a chart of sales ."


def test_a_page_of_navigation_only_is_still_read() -> None:
    assert "Docs" in parse(page("<aside><p>Docs</p></aside>")).text


@pytest.mark.parametrize(
    "tag", ["div", "blockquote", "ul><li", "b", "table><tr><td", "details", "pre", "dl><dd"]
)
def test_ten_thousand_nested_elements_are_read(tag: str) -> None:
    parsed = parse(page(f"<{tag}>" * 10_000 + "deep"))
    assert "deep" in parsed.text
    assert_sound(parsed)


def test_the_declared_charset_is_honoured() -> None:
    data = "<!doctype html><meta charset='iso-8859-2'><p>Łódź żółw</p>".encode("iso-8859-2")
    assert parse(data).text == "Łódź żółw"


def test_a_page_without_text_is_named() -> None:
    with pytest.raises(ParsingError) as caught:
        parse(page("<script>x</script>"))
    assert caught.value.code == "file_without_text"

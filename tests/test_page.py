"""What the two served pages promise before any server runs.

They hold under a Content-Security-Policy that allows one hashed style and script and no foreign origin,
embed no key, and can be used without a mouse or eyes.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from selectolax.lexbor import LexborHTMLParser, LexborNode

TEMPLATES = Path(__file__).parents[1] / "app" / "templates"
PAGES = ("index.html", "schema.html")
URL_ATTRIBUTES = frozenset(
    {"src", "href", "action", "formaction", "poster", "srcset", "data", "cite", "ping"}
)
UNSAFE_CODE = (
    r"\b(?:innerHTML|outerHTML|insertAdjacentHTML|srcdoc|createContextualFragment|DOMParser|setHTMLUnsafe)\b"
    r"|\bdocument\s*\.\s*write|\beval\s*\(|\bnew\s+Function\b|\.\s*on[a-z]+\s*=[^=]|\bimport\s*\("
)
KEY_LEAKS = (
    r"\blocalStorage\b|\bdocument\s*\.\s*cookie\b|\blocation\b|\bhistory\b|\bURLSearchParams\b|\bindexedDB\b"
)
# An XML namespace is a name, not an address: nothing is fetched from it.
SVG_NAMESPACE = "http://www.w3.org/2000/svg"


def source(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def inline(html: str, tag: str) -> list[str]:
    """Texts of the elements ``tag`` that carry their own content and are executed or applied."""
    nodes = LexborHTMLParser(html).css(f"{tag}:not([src]):not([type='application/json'])")
    return [node.text(deep=True) for node in nodes]


def only(page: LexborHTMLParser, selector: str) -> LexborNode:
    (node,) = page.css(selector)
    return node


def attributes(html: str) -> list[tuple[str, str, str]]:
    nodes = LexborHTMLParser(html).css("*")
    return [(node.tag or "", name, value or "") for node in nodes for name, value in node.attributes.items()]


def foreign_addresses(html: str) -> list[str]:
    """Addresses that lead off our own origin, in attributes, styles and scripts."""
    linked = [value for _, name, value in attributes(html) if name in URL_ATTRIBUTES]
    linked += [
        link for style in inline(html, "style") for link in re.findall(r"url\(\s*['\"]?([^'\")]*)", style)
    ]
    linked += [link for style in inline(html, "style") for link in re.findall(r"@import\s+([^;]+)", style)]
    away = [link for link in linked if not re.match(r"#|/(?!/)|data:image/", link)]
    code = "\n".join(inline(html, "script")).replace(SVG_NAMESPACE, "")
    return away + re.findall(r"(?:https?|wss?):\/\/[^\s\"'`]*|[\"'`]\/\/[^\s\"'`]+", code)


def inline_code_attributes(html: str) -> list[str]:
    return [
        f"{tag}[{name}]"
        for tag, name, value in attributes(html)
        if name.startswith("on") or name == "style" or value.strip().lower().startswith("javascript:")
    ]


def unlabelled_fields(html: str) -> list[str]:
    page = LexborHTMLParser(html)
    labelled = {node.attributes.get("for") for node in page.css("label") if node.text(strip=True)}
    fields = page.css("input:not([type='hidden']), textarea, select")
    return [
        field.html or ""
        for field in fields
        if field.attributes.get("id") not in labelled and not field.attributes.get("aria-label")
    ]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_names_no_foreign_origin(name: str) -> None:
    assert foreign_addresses(source(name)) == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_no_inline_handler_and_no_style_attribute(name: str) -> None:
    assert inline_code_attributes(source(name)) == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_never_turns_text_into_markup_or_code(name: str) -> None:
    for script in inline(source(name), "script"):
        assert re.findall(UNSAFE_CODE, script) == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_one_style_and_one_script_to_hash(name: str) -> None:
    html = source(name)
    assert [len(inline(html, tag)) for tag in ("style", "script")] == [1, 1]
    # The hash is taken over the file's text by plain tag names, so both must be found that way too.
    assert [len(re.findall(rf"<{tag}>.*?</{tag}>", html, re.DOTALL)) for tag in ("style", "script")] == [1, 1]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_stored_with_line_feeds_only(name: str) -> None:
    """A browser hashes the script after turning CRLF into LF: a stored CR would break the policy's hash."""
    assert b"\r" not in (TEMPLATES / name).read_bytes()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_states_its_language_title_and_viewport(name: str) -> None:
    page = LexborHTMLParser(source(name))
    assert only(page, "html").attributes["lang"] == "en"
    assert only(page, "title").text(strip=True)
    viewport = only(page, "meta[name='viewport']").attributes["content"] or ""
    assert "width=device-width" in viewport
    assert not re.search(r"user-scalable|maximum-scale", viewport)


@pytest.mark.parametrize("name", PAGES)
def test_every_field_is_labelled_and_every_button_named_and_typed(name: str) -> None:
    html = source(name)
    assert unlabelled_fields(html) == []
    for button in LexborHTMLParser(html).css("button"):
        assert button.text(strip=True) or button.attributes.get("aria-label")
        assert button.attributes.get("type") in {"button", "submit"}


@pytest.mark.parametrize("name", PAGES)
def test_every_reference_inside_a_page_meets_exactly_one_element(name: str) -> None:
    html = source(name)
    ids = Counter(value for _, attribute, value in attributes(html) if attribute == "id")
    references = [
        word
        for _, attribute, value in attributes(html)
        if attribute in {"for", "aria-labelledby", "aria-describedby", "aria-controls"}
        for word in value.split()
    ]
    references += [
        value[1:] for _, attribute, value in attributes(html) if attribute == "href" and value[:1] == "#"
    ]
    for script in inline(html, "script"):
        references += re.findall(r"\b(?:find|getElementById)\(\"([\w-]+)\"\)", script)
    assert set(ids.values()) == {1}
    assert references
    assert [reference for reference in references if reference not in ids] == []


@pytest.mark.parametrize("name", PAGES)
def test_the_key_lives_in_session_storage_and_nowhere_else(name: str) -> None:
    html = source(name)
    assert re.findall(KEY_LEAKS, "\n".join(inline(html, "script"))) == []
    assert "sessionStorage" in html
    # Neither a demo key nor a token: no opaque word of 24 or more letters and digits.
    words = re.findall(r"\b(?=\w*\d)(?=\w*[A-Za-z])\w{24,}\b", html)
    assert words == []


def test_the_key_field_hides_its_text_and_can_never_reach_an_address() -> None:
    """Without a name the browser leaves the field out of any form submission, script or no script."""
    field = only(LexborHTMLParser(source("index.html")), "#key")
    assert field.attributes["type"] == "password"
    assert field.attributes["autocomplete"] == "off"
    assert {"name", "value"}.isdisjoint(field.attributes)


def test_the_examples_block_is_an_empty_list_that_the_server_can_fill() -> None:
    html = source("index.html")
    blocks = LexborHTMLParser(html).css("script[type='application/json']")
    assert [(block.attributes["id"], json.loads(block.text())) for block in blocks] == [("examples", [])]
    assert html.count('<script type="application/json" id="examples">[]</script>') == 1


def test_the_page_links_to_the_api_documentation() -> None:
    links = {node.attributes["href"] for node in LexborHTMLParser(source("index.html")).css("nav a")}
    assert links == {"/schema", "/schema/openapi.json"}


def test_the_page_announces_progress_and_problems_to_screen_readers() -> None:
    html = source("index.html")
    page = LexborHTMLParser(html)
    assert only(page, "#announcer").attributes["role"] == "status"
    assert only(page, "#key-error").attributes["role"] == "alert"
    assert only(page, "dialog").attributes["aria-labelledby"] == "reader-title"
    assert '"aria-live": "polite"' in inline(html, "script")[0]


@pytest.mark.parametrize("event", ["sources", "delta", "citation", "done", "error"])
def test_every_event_of_the_answer_stream_is_handled(event: str) -> None:
    assert f'name === "{event}"' in inline(source("index.html"), "script")[0]


def test_the_documentation_asks_no_public_validator_and_takes_no_settings_from_the_address() -> None:
    script = inline(source("schema.html"), "script")[0]
    assert "validatorUrl: null" in script
    assert "queryConfigEnabled: false" in script
    assert "persistAuthorization: false" in script


def themes() -> list[dict[str, str]]:
    """Light and dark: the colour variables of the two ``:root`` blocks, the second laid over the first."""
    blocks = re.findall(r":root\s*{(.*?)}", inline(source("index.html"), "style")[0], re.DOTALL)
    light, dark = (dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{6})", block)) for block in blocks)
    return [light, light | dark]


def luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb``, 0 to 1, by WCAG 2.2."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


TEXT_ON = {
    "page": ("ink", "muted", "accent", "good", "warn"),
    "surface": ("ink", "muted", "accent"),
    "tint": ("ink", "accent"),
    "bad-tint": ("bad", "muted"),
    "accent": ("on-accent",),
    "mark": ("on-mark",),
}


@pytest.mark.parametrize("ground", TEXT_ON)
def test_text_meets_contrast_aa_in_light_and_dark(ground: str) -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert all(contrast(theme[text], theme[ground]) >= 4.5 for theme in themes() for text in TEXT_ON[ground])


def test_field_edges_meet_the_contrast_of_controls_in_light_and_dark() -> None:
    assert all(
        contrast(theme["edge"], theme[ground]) >= 3 for theme in themes() for ground in ("page", "surface")
    )


def test_motion_stops_for_those_who_asked_for_less() -> None:
    style = inline(source("index.html"), "style")[0]
    assert re.search(r"prefers-reduced-motion: reduce\) {.*animation: none !important", style)


@pytest.mark.parametrize(
    "broken",
    [
        '<img src="https://cdn.example/logo.png">',
        '<a href="//cdn.example/x">x</a>',
        "<style>a { background: url(https://cdn.example/x.png) }</style>",
        '<style>@import "https://cdn.example/x.css";</style>',
        "<script>fetch('https://api.example/x')</script>",
        "<script>fetch(`//api.example/x`)</script>",
    ],
)
def test_the_origin_check_sees_each_way_out(broken: str) -> None:
    assert foreign_addresses(broken)


@pytest.mark.parametrize(
    "broken", ["<p onclick='x()'>", "<p style='color:red'>", "<a href='JavaScript:x()'>x</a>"]
)
def test_the_attribute_check_sees_each_kind(broken: str) -> None:
    assert inline_code_attributes(broken)


@pytest.mark.parametrize(
    "broken",
    ["a.innerHTML = x", "document.write(x)", "eval(x)", "new Function(x)", "a.onclick = f", "a.outerHTML=x"],
)
def test_the_script_check_sees_each_kind(broken: str) -> None:
    assert re.findall(UNSAFE_CODE, broken)


@pytest.mark.parametrize(
    "broken", ["<input id=a>", "<label for=b>B</label><textarea id=a></textarea>", "<select>"]
)
def test_the_label_check_sees_a_field_without_one(broken: str) -> None:
    assert unlabelled_fields(broken)

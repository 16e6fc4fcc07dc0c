"""Markdown and MDX."""

from __future__ import annotations

import pytest

from app.parsing import parse
from tests.parsing.makers import assert_sound, texts


def read(text: str, name: str = "a.md") -> list[tuple[str, str]]:
    return texts(parse(text.encode(), filename=name))


def test_blocks_of_a_page() -> None:
    assert read(
        "# Title #\n\nSome **bold** [link](http://x.y) and `code`,\nwrapped.\n\n"
        "- a\n- b\n  1. c\n\n> quoted\n\n"
        "```py\ndef f():\n\n    return 1\n```\n\n| A | B |\n|---|---|\n| 1 | `2` |\n"
    ) == [
        ("heading1", "Title"),
        ("paragraph", "Some bold link and code, wrapped."),
        ("list", "- a\n- b\n  1. c"),
        ("quote", "quoted"),
        ("code", "def f():\n\n    return 1"),
        ("table", "| A | B |\n| 1 | 2 |"),
    ]


def test_front_matter_gives_title_language_and_first_paragraph() -> None:
    parsed = parse(
        b"---\ntitle: 'Plans'\ndescription: What they cost.\nlang: en\n---\n\nBody.", filename="a.md"
    )
    assert (parsed.title, parsed.language, parsed.text) == ("Plans", "en", "What they cost.\n\nBody.")


def test_a_description_that_the_body_repeats_is_not_doubled() -> None:
    parsed = parse(b"---\ndescription: What they cost\n---\n\nWhat they *cost*. More.", filename="a.md")
    assert parsed.text == "What they cost. More."


@pytest.mark.parametrize("matter", ["a: &a [1]\nb: [*a, *a]", "title: a: b", "[" * 5000, "- just\n- a list"])
def test_strange_front_matter_does_not_fail_the_file(matter: str) -> None:
    assert "Body." in parse(f"---\n{matter}\n---\n\nBody.".encode(), filename="a.md").text


def test_hidden_html_and_comments_are_dropped() -> None:
    assert read(
        "a <span hidden>EVIL</span>b\n\n<!-- EVIL\n\nEVIL -->\n\n<div style='display:none'>\n\nEVIL\n\n</div>"
    ) == [("paragraph", "a b")]


def test_callouts_are_labelled() -> None:
    assert read(":::warning Careful\nHot.\n:::\n\n> [!NOTE]\n> Read.\n") == [
        ("paragraph", "Warning: Careful: Hot."),
        ("quote", "Note: Read."),
    ]


def test_colons_in_code_stay() -> None:
    assert read("```\n:::note\n```\n\n:::note\nx\n:::") == [("code", ":::note"), ("paragraph", "Note: x")]


MDX = """\
import Foo from '@x/foo';
import {
  Bar,
} from 'bar';

export const meta = {
  a: 1,
};

# Plans {#plans}

<Tabs>
  <Tab title="Monthly">
    Pay **9 EUR** {/* EVIL */} a month.

    ```js
    import x from 'y'; // <Kept attr={1} />
    ```
  </Tab>
</Tabs>

<Note>You can cancel.</Note>

<Accordion title="Is there a trial?">
  Yes, 14 days.
</Accordion>

<Card title="Guide" icon="x" onClick={() => { if (a > b) { go("}") } }}>
  Start here.
</Card>

<div style={{display: 'none'}}>

EVIL

</div>

Use `{id}` and `<tag>`; a < b. {value} {"literal"}
"""


def test_mdx_keeps_words_and_drops_code() -> None:
    parsed = parse(MDX.encode(), filename="a.mdx")
    assert texts(parsed) == [
        ("heading1", "Plans"),
        ("paragraph", "Monthly: Pay 9 EUR a month."),
        ("code", "import x from 'y'; // <Kept attr={1} />"),
        ("paragraph", "Note: You can cancel."),
        ("question_answer", "Is there a trial?\nYes, 14 days."),
        ("paragraph", "Guide: Start here."),
        ("paragraph", "Use {id} and <tag>; a < b. literal"),
    ]
    assert_sound(parsed)


def test_markdown_with_components_is_read_as_mdx() -> None:
    assert read("import X from 'x';\n\n<X label='Hello' />\n\ntext") == [("paragraph", "Hello: text")]


def test_plain_markdown_keeps_braces_and_indented_code() -> None:
    assert read("Use {name}.\n\n    code") == [("paragraph", "Use {name}."), ("code", "code")]


@pytest.mark.parametrize(
    "text",
    [">" * 10_000 + " deep", "[" * 5000 + " deep", "*a_ " * 3000 + "deep", "<" * 20_000 + " deep"],
)
def test_pathological_markdown_is_read(text: str) -> None:
    assert "deep" in parse(text.encode(), filename="a.md").text


@pytest.mark.parametrize(
    "piece", ["{", "<A b={", "<A ", '{"', "{`", "<!--", "<script>", "import {\n", '<Tab title="a">']
)
def test_pathological_mdx_ends(piece: str) -> None:
    assert_sound(parse(("deep\n\n" + piece * 5000).encode(), filename="a.mdx"))

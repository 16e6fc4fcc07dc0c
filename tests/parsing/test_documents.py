"""PDF, DOCX, e-mail, RST, RTF and plain text."""

from __future__ import annotations

import pytest
from docx import Document
from docx.document import Document as DocumentObject
from docx.oxml import OxmlElement
from fpdf import FPDF

from app.parsing import Limits, ParsingError, parse
from app.parsing.blocks import TextBuilder
from app.parsing.tables import add_table
from tests.parsing.makers import assert_sound, docx, pdf, repacked, texts


def code_of(data: bytes, filename: str) -> str:
    with pytest.raises(ParsingError) as caught:
        parse(data, filename=filename)
    return caught.value.code


# PDF


def test_pdf_headings_come_from_the_font_size_and_lines_are_joined() -> None:
    body = (
        "Customers may return a product within fourteen days of delivery without giving any reason at all. "
        * 3
    )
    parsed = parse(pdf([[("Returns", 24), (body, 11)], [("Shipping", 24), (body, 11)]]))
    assert texts(parsed) == [
        ("heading1", "Returns"),
        ("paragraph", body.strip()),
        ("heading1", "Shipping"),
        ("paragraph", body.strip()),
    ]
    assert (parsed.pages, parsed.title) == (2, "Returns")


def test_pdf_running_headers_and_page_numbers_are_dropped() -> None:
    pages = [
        [
            ("Acme Handbook", 9),
            (f"Section about topic {word} and its rules, told at some length.", 11),
            (f"{number}", 9),
        ]
        for number, word in enumerate(["alpha", "beta", "gamma", "delta"], 1)
    ]
    text = parse(pdf(pages)).text
    assert "Acme Handbook" not in text
    assert text.split("\n\n") == [
        f"Section about topic {w} and its rules, told at some length."
        for w in ("alpha", "beta", "gamma", "delta")
    ]


def test_pdf_pages_that_differ_only_in_numbers_are_kept() -> None:
    text = parse(pdf([[(f"Record {number}", 11)] for number in range(1, 6)])).text
    assert text.split("\n\n") == [f"Record {number}" for number in range(1, 6)]


def test_pdf_rows_with_wrapped_cells_are_one_line_each() -> None:
    document = FPDF()
    document.add_page()
    document.set_font("Helvetica", size=10)
    rows = [("Plan", "What it has"), ("Pro", "everything that a small\nteam may need"), ("Max", "more")]
    for number, (plan, words) in enumerate(rows):
        for line, part in enumerate(words.split("\n")):
            document.text(20, 20 + number * 12 + line * 5, plan if line == 0 else "")
            document.text(80, 20 + number * 12 + line * 5, part)
    assert texts(parse(bytes(document.output()))) == [
        ("table", "| Plan | What it has |\n| Pro | everything that a small team may need |\n| Max | more |")
    ]


def test_a_table_row_is_one_line_whatever_its_cells_hold() -> None:
    builder = TextBuilder(Limits())
    add_table(builder, [["Plan", "Price"], ["Pro\x0bPlus", "9\n\u2028EUR"]])
    assert "".join(builder.parts) == "| Plan | Price |\n| Pro Plus | 9 EUR |"


def test_pdf_hyphens_at_line_ends_are_closed() -> None:
    assert "information" in parse(pdf([[("This is infor-\nmation for everyone who reads it.", 11)]])).text


def test_pdf_errors_are_named() -> None:
    assert code_of(pdf([[("x", 12)]], password="secret"), "a.pdf") == "file_encrypted"
    assert code_of(pdf([[]]), "a.pdf") == "file_without_text"
    assert code_of(pdf([[("x", 12)]])[:300], "a.pdf") == "file_corrupt"
    with pytest.raises(ParsingError) as caught:
        parse(pdf([[("x", 12)]] * 3), limits=Limits(pages=2))
    assert caught.value.code == "file_too_large"


def test_a_pdf_of_900_pages_is_read() -> None:
    parsed = parse(pdf([[(f"Page about item {number}.", 11)] for number in range(900)]))
    assert parsed.pages == 900
    assert "item 899." in parsed.text


# DOCX


def document_of_everything(document: DocumentObject) -> None:
    document.add_heading("Manual", 0)
    document.add_heading("Install", 1)
    run = document.add_paragraph("Do this.").add_run(" EVIL")
    run.font.hidden = True
    document.add_paragraph("first", style="List Number")
    document.add_paragraph("second", style="List Number")
    document.add_paragraph("dot", style="List Bullet")
    table = document.add_table(rows=2, cols=2)
    for index, text in enumerate(("Plan", "Price", "Pro", "9")):
        table.cell(index // 2, index % 2).text = text


def test_docx_in_document_order() -> None:
    parsed = parse(docx(document_of_everything))
    assert texts(parsed) == [
        ("heading1", "Manual"),
        ("heading1", "Install"),
        ("paragraph", "Do this."),
        ("list", "1. first\n2. second\n- dot"),
        ("table", "| Plan | Price |\n| Pro | 9 |"),
    ]
    assert parsed.title == "Manual"
    assert_sound(parsed)


def test_docx_deleted_text_is_left_out_and_inserted_text_kept() -> None:
    def build(document: DocumentObject) -> None:
        paragraph = document.add_paragraph("kept ")
        for name, text in (("w:del", "EVIL"), ("w:ins", "new")):
            change = OxmlElement(name)
            change.append(document.add_paragraph().add_run(text)._r)
            paragraph._p.append(change)

    assert parse(docx(build)).text == "kept new"


def test_docx_entities_are_not_resolved() -> None:
    body = (
        '<?xml version="1.0"?><!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
        '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>'
        "<w:p><w:r><w:t>seen &x;</w:t></w:r></w:p></w:body></w:document>"
    )
    assert parse(repacked(docx(), word__document=body.encode())).text == "seen"


def test_a_damaged_or_empty_docx_is_named() -> None:
    assert code_of(repacked(docx(), word__document=b"<w:broken"), "a.docx") == "file_corrupt"
    assert code_of(docx(), "a.docx") == "file_without_text"


def test_a_circle_of_styles_ends() -> None:
    document = Document()
    style = document.styles["Quote"]
    style.base_style = style
    document.add_paragraph("round", style=style)
    assert parse(docx(lambda empty: empty.add_paragraph("x"))).text == "x"
    assert "round" in parse(_saved(document)).text


def _saved(document: DocumentObject) -> bytes:
    from io import BytesIO

    stream = BytesIO()
    document.save(stream)
    return stream.getvalue()


# E-mail

MAIL = b"""\
From: Ann <ann@example.org>
Subject: =?utf-8?q?R=C3=BCckgabe?=
Date: Mon, 2 Nov 2026 10:00:00 +0000
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=x

--x
Content-Type: multipart/alternative; boundary=y

--y
Content-Type: text/html; charset=utf-8

<p>html part</p>
--y
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Gr=FC=DFe, where is my order?

On Sunday Bob wrote:
> old words

--=20
Ann, Acme
--y--
--x
Content-Type: text/plain
Content-Disposition: attachment; filename=evil.txt

EVIL
--x--
"""


def test_mail_prefers_the_plain_part_and_sets_history_and_signature_apart() -> None:
    parsed = parse(MAIL, filename="a.eml")
    assert parsed.title == "Rückgabe"
    assert texts(parsed) == [
        ("paragraph", "From: Ann <ann@example.org>\nDate: Mon, 02 Nov 2026 10:00:00 +0000"),
        ("paragraph", "Grüße, where is my order?"),
        ("quote", "On Sunday Bob wrote:"),
        ("quote", "old words"),
        ("quote", "Ann, Acme"),
    ]


def test_html_mail_is_read_as_html() -> None:
    mail = b"From: a\nSubject: s\nContent-Type: text/html; charset=unknown-99\n\n<p>hi</p><p hidden>EVIL</p>"
    assert parse(mail, filename="a.eml").text == "From: a\n\nhi"


def test_mail_without_words_is_named() -> None:
    assert code_of(b"From: a\nSubject: s\n\n", "a.eml") == "file_without_text"


# reStructuredText

RST = b"""\
=====
Guide
=====

Set :ref:`the mode <mode>` to ``fast``.

.. note:: Mind the gap.

.. code-block:: python

   def f():
       return 1

.. include:: /etc/passwd

.. raw:: html

   <b>EVIL</b>

.. unknown-thing:: arg

   Words inside.

.. toctree::

   EVIL
"""


def test_rst_is_read_for_its_words_and_pulls_nothing_in() -> None:
    parsed = parse(RST, filename="a.rst")
    assert texts(parsed) == [
        ("heading1", "Guide"),
        ("paragraph", "Set the mode to fast."),
        ("paragraph", "Note: Mind the gap."),
        ("code", "def f():\n    return 1"),
        ("paragraph", "arg: Words inside."),
    ]
    assert parsed.title == "Guide"


def test_an_endless_word_in_rst_takes_no_quadratic_time() -> None:
    assert parse(("a:" * 50_000).encode(), filename="a.rst").text == "a:" * 50_000


def test_deeply_nested_rst_is_an_error_and_not_an_exit() -> None:
    assert (
        code_of("\n".join("  " * depth + "- x" for depth in range(300)).encode(), "a.rst") == "file_corrupt"
    )


# Plain text and RTF


def test_plain_text_joins_wrapped_lines_and_keeps_short_ones() -> None:
    text = (
        "This line was wrapped by a program at about seventy characters,\nso it is one paragraph.\r\n\r\n"
        "Acme Ltd\n1 High Street\n\n* one\n* two\n  more\n\n> said\n> before\n"
    )
    assert texts(parse(text.encode(), filename="a.txt")) == [
        (
            "paragraph",
            "This line was wrapped by a program at about seventy characters, so it is one paragraph.",
        ),
        ("paragraph", "Acme Ltd\n1 High Street"),
        ("list", "- one\n- two more"),
        ("quote", "said\nbefore"),
    ]


def test_rtf_paragraphs_without_hidden_runs() -> None:
    rtf = rb"{\rtf1\ansi{\info{\title Plan}}Hello \b bold\b0  w\'f6rld\par {\v EVIL}Next.\par}"
    parsed = parse(rtf, filename="a.rtf")
    assert (parsed.title, parsed.text) == ("Plan", "Hello bold wörld\n\nNext.")

"""Files: what they are, what they are called, which are refused."""

from __future__ import annotations

from email.message import Message
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.conversations.files import clean_name, content_disposition, is_program, media_type_of
from tests.parsing import makers


@pytest.mark.parametrize(
    ("content", "name", "media_type"),
    [
        (b"\x89PNG\r\n\x1a\n....", "evil.html", "image/png"),
        (b"\xff\xd8\xff\xe0", "x", "image/jpeg"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "x", "image/webp"),
        (b"\x00\x00\x00\x18ftypmp42", "x", "video/mp4"),
        (b"%PDF-1.7\n", "invoice.pdf", "application/pdf"),
        (b"<!DOCTYPE html><p>x", "picture.png", "text/html"),
        (b"<html><svg></svg>", "x.txt", "text/html"),
        (b"<?xml version='1.0'?>\n<!-- c --><svg xmlns='x'>", "logo.svg", "image/svg+xml"),
        (b"\xef\xbb\xbf <svg onload=x>", "x.png", "image/svg+xml"),
        (b"plain words", "notes.txt", "text/plain"),
        (b"# A heading", "notes.md", "text/markdown"),
        (b"not a pdf at all", "fake.pdf", "text/plain"),
        (b"PK\x03\x04 broken", "x.docx", "application/zip"),
        (bytes(range(256)), "x.bin", "application/octet-stream"),
        (b"   ", "blank.txt", "application/octet-stream"),
    ],
)
def test_the_content_says_what_a_file_is(content, name, media_type):
    assert media_type_of(content, name) == media_type


@pytest.mark.parametrize("units", [b"<!---->", b"<?xml ?>", b" ", b"<!doctype svg >", b"<svg", b"PK\x03\x04"])
def test_no_content_takes_long_to_tell(units):
    media_type_of(units * 100_000, "x")
    is_program(units * 100_000, "x")


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"MZ\x90\x00\x03", "picture.png"),
        (b"MZxxxx" + b"\0" * 100 + b"PE\x00\x00", "x"),
        (b"\x7fELF\x02", "x.txt"),
        (b"\xcf\xfa\xed\xfe", "x"),
        (b"L\x00\x00\x00\x01\x14\x02\x00", "report.pdf"),
        (b"words", "run.EXE"),
        (b"words", "run.bat"),
        (b"words", "invoice.pdf.js"),
        (b"words", "run.exe. "),
        (b"words", "x.lnk"),
    ],
)
def test_programs_are_known_by_content_and_by_name(content, name):
    assert is_program(content, clean_name(name)) or is_program(content, name)


@pytest.mark.parametrize(
    ("content", "name"),
    [(b"MZ is a text", "mz.txt"), (b"#!/bin/sh", "run.sh"), (b"x", "js"), (b"x", ".exe.txt")],
)
def test_other_files_are_no_programs(content, name):
    assert not is_program(content, name)


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\ada\\report.pdf", "report.pdf"),
        ("a\r\nSet-Cookie: x=1.txt", "aSet-Cookie_ x=1.txt"),
        ("photo\u202egpj.exe", "photogpj.exe"),
        ("card 4111 1111 1111 1111.txt", "card [card number removed, ending 1111].txt"),
        ("\u0000", "attachment"),
        ("..", "attachment"),
        ("", "attachment"),
        (None, "attachment"),
        ("x/", "attachment"),
        ('a<b>"c|d?.txt', "a_b__c_d_.txt"),
        ("R\u00e9sum\u00e9 \u2014 \u540d\u524d.docx", "R\u00e9sum\u00e9 \u2014 \u540d\u524d.docx"),
        ("x" * 500 + ".pdf", "x" * 196 + ".pdf"),
    ],
)
def test_names_are_cleaned(given_name, name):
    assert clean_name(given_name) == name


@given(st.text(max_size=300))
def test_any_name_is_safe_stable_and_comes_back_from_the_header(given_name):
    name = clean_name(given_name)
    assert 0 < len(name) <= 200
    assert not set(name) & set('/\\\0\r\n"')
    assert clean_name(name) == name
    header = content_disposition(name)
    assert header.isascii()
    assert header.isprintable()
    message = Message()
    message["Content-Disposition"] = header
    assert message.get_content_disposition() == "attachment"
    assert unquote(header.rpartition("''")[2]) == name


def test_a_real_document_is_known_as_one():
    assert media_type_of(makers.docx(), "x").endswith("wordprocessingml.document")

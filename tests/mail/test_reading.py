"""Reading mail: broken, hostile and ordinary ones; nothing that comes in makes a 5xx or hangs."""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from app.mail.bounces import bounces
from app.mail.constants import ATTACHMENTS_MAX
from app.mail.exceptions import UnreadableMailError
from app.mail.guards import guard
from app.mail.headers import mailboxes, message_ids, words
from app.mail.quoting import split_html, split_text
from app.mail.reading import Mail, identify, read
from app.mail.storing import storable
from tests.mail.library import deliver, post, write

HEAD = b"From: Ada <ada@customer.test>\nMIME-Version: 1.0\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("=?utf-8?q?Gr=C3=BC=C3?= =?utf-8?q?=9Fe?=", "Grüße"),
        ("=?utf-8?B?R3LDvMOfZQ?=", "Grüße"),
        ("=?iso-8859-1*de?Q?Gr=FC=DFe?= an =?UTF-8?q?alle?=", "Grüße an alle"),
        ("=?no-such-charset?q?abc?= d", "abc d"),
        ("=?hex?q?abc?=", "abc"),
        ("=?utf-8?q?=FF=FE?=", "ÿþ"),
        ("plain\r\n folded\0", "plain folded"),
        ("Gr\udcc3\udcbc\udcc3\udc9fe", "Grüße"),
        ("Gr\udcfc\udcdfe", "Grüße"),
        ("a\u202eb\u200bc", "abc"),
    ],
)
def test_a_text_header_is_read_whatever_its_encoding(value, text):
    assert words(value) == text


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("Ada <Ada@Customer.Test>, bob@b.test", ["ada@customer.test", "bob@b.test"]),
        ("undisclosed-recipients:;", []),
        ("", []),
        ("<>", []),
        ("a@b@c.test", []),
        ('"x@y.test" <ada@customer.test>', ["ada@customer.test"]),
    ],
)
def test_addresses_are_found_in_lower_case(value, found):
    assert [address for _, address in mailboxes([value], maximum=9)] == found


def test_of_many_references_the_newest_are_kept():
    assert message_ids(["".join(f"<{n}@x.test>" for n in range(200))], maximum=3) == [
        "197@x.test",
        "198@x.test",
        "199@x.test",
    ]


@pytest.mark.parametrize(
    ("body", "new"),
    [
        ("Yes.\n\nOn Mon, 1 Jan 2026 at 10:00, Desk <s@d.test> wrote:\n> old\n> older", "Yes."),
        ("Yes.\n\nOn Mon, 1 Jan 2026 at 10:00, A very long name\n<s@d.test> wrote:\n\n> old", "Yes."),
        ("Ja.\n\nAm 1. Januar 2026 schrieb Desk:\n> alt", "Ja."),
        ("Yes.\n\n-----Original Message-----\nFrom: x\nold", "Yes."),
        ("Yes.\n\n________________________________\nFrom: Desk\nold", "Yes."),
        ("Yes.\n-- \nAda\nACME", "Yes."),
        ("Yes.\n> old", "Yes."),
        ("> a question\nMy answer.\n> another\nAnother answer.", None),
        ("On Monday I wrote: it is broken.\nStill is.", None),
        ("On Monday she wrote:\nthis is new", None),
        ("> only a quote", None),
        ("-- \nAda", None),
        ("a -- b\n--\nc", None),
    ],
)
def test_what_is_new_is_told_from_what_is_quoted(body, new):
    assert split_text(body)[0] == (body if new is None else new)


@given(st.text(alphabet=st.sampled_from("> \nOn wrote:-_ab"), max_size=200))
def test_no_word_is_lost_by_splitting(body):
    new, quoted = split_text(body)
    assert sorted((new + quoted).replace("\n", "").replace(" ", "")) == sorted(
        body.replace("\n", "").replace(" ", "")
    )


def test_the_history_of_html_is_cut():
    html = (
        "<div>Yes, <b>please</b>.</div><div class='gmail_quote'>On x wrote:<blockquote>old</blockquote></div>"
    )
    assert split_html(html)[0] == "Yes, please."
    assert split_html("<blockquote type=cite>all of it</blockquote>")[0] == "all of it"


def test_the_plain_text_is_preferred_and_html_becomes_text():
    both = read(write(text="plain", html="<p>rich</p>"))
    assert both.text == "plain"
    rich = read(HEAD + b"Content-Type: text/html\n\n<p>Hi</p><script>alert(1)</script><style>x</style>")
    assert rich.text == "Hi"


def test_attachments_and_inline_images_keep_their_bytes_and_get_safe_names():
    raw = HEAD + (
        b'Content-Type: multipart/mixed; boundary="b"\n\n'
        b"--b\nContent-Type: text/plain\n\nSee it.\n"
        b'--b\nContent-Type: image/png; name="..\\\\..\\\\evil.png"\nContent-ID: <img1@x>\n'
        b"Content-Disposition: inline\nContent-Transfer-Encoding: base64\n\niVBORw0KGgo=\n"
        b"--b\nContent-Type: text/plain\n"
        b"Content-Disposition: attachment; filename*=utf-8''gr%C3%BC%C3%9Fe.txt\n\nhi\n"
        b"--b\nContent-Type: application/ms-tnef; name=winmail.dat\n\nxx\n"
        b"--b\nContent-Type: message/rfc822\n\nFrom: x@y.test\nSubject: inner\n\nforwarded\n"
        b"--b--\n"
    )
    mail = read(raw)
    assert mail.text == "See it."
    assert [(each.filename, each.media_type) for each in mail.attachments] == [
        ("evil.png", "image/png"),
        ("grüße.txt", "text/plain"),
        ("message-3.eml", "message/rfc822"),
    ]
    assert mail.attachments[0].content == b"\x89PNG\r\n\x1a\n"
    assert mail.attachments[0].content_id == "img1@x"
    assert b"forwarded" in mail.attachments[2].content


def test_a_mail_without_an_id_gets_the_same_one_every_time():
    raw = HEAD + b"\nhello"
    assert identify(raw) == identify(raw.replace(b"\n", b"\r\n"))
    assert identify(raw).message_id.endswith("@derived.invalid")
    assert identify(raw) != identify(raw + b"!")


HOSTILE = {
    "nothing": b"\0",
    "no header": b"hello\n\nworld",
    "binary": bytes(range(256)) * 40,
    "no sender": b"Subject: x\n\nhi",
    "two senders": b"From: a@b.test, c@d.test\n\nhi",
    "nested": HEAD
    + b"".join(b'Content-Type: multipart/mixed; boundary="%d"\n\n--%d\n' % (n, n) for n in range(3000)),
    "many parts": HEAD + b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 20_000,
    "many files": HEAD
    + b"Content-Type: multipart/mixed; boundary=b\n\n"
    + b"--b\nContent-Type: a/b\n\nx\n" * 500,
    "long header": HEAD + b"Subject: " + b"=?utf-8?q?a?= " * 14_000 + b"\n\nhi",
    "long recipients": HEAD + b"To: " + b"a@b.test, " * 19_000 + b"\n\nhi",
    "long parameters": HEAD + b"Content-Type: text/plain; " + b'x="\\"' * 30_000 + b"\n\nhi",
    "long references": HEAD + b"References: " + b"<a@b> " * 30_000 + b"\n\nhi",
    "charset": HEAD + b"Content-Type: text/plain; charset=hex\n\nzz",
    "charset of nul": HEAD + b'Content-Type: text/plain; charset="\0"\n\nzz',
    "idna": HEAD + b"Content-Type: text/plain; charset=idna\n\n" + b"x" * 5000 + b".\xff",
    "utf-7": HEAD + b"Content-Type: text/plain; charset=utf-7\n\n+AAA-\xff",
    "bad base64": HEAD + b"Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n=====a",
    "uu": HEAD + b"Content-Type: text/plain\nContent-Transfer-Encoding: x-uuencode\n\nbegin 6\n\xff",
    "nul": HEAD + b"Subject: a\0b\nMessage-ID: <a\0b@c>\n\n\0\0text\0",
    "surrogates": HEAD + b"Subject: =?utf-16?b?2AA=?=\n\n\xed\xa0\x80",
    "bad date and ids": HEAD + b"Date: \xff\nMessage-ID: no brackets\nIn-Reply-To: <<<>>>\n\nhi",
    "boundary": HEAD + b"Content-Type: multipart/mixed\n\nhi",
    "rfc2231": HEAD + b"Content-Type: a/b; name*0*=utf-8''%; name*2=x; name*1*=%zz\n\nhi",
    "header name": HEAD + b"S\xc3\xbcbject: x\n: y\n\nhi",
}


@pytest.mark.parametrize("kind", HOSTILE)
async def test_a_hostile_mail_is_taken_in_and_gets_a_verdict(client, receiver, kind):
    started = time.perf_counter()
    row = await deliver(client, receiver, HOSTILE[kind])
    assert row.status == "processed"
    assert row.verdict in {"no_desk", "rejected_unreadable"}
    assert time.perf_counter() - started < 5


def test_only_so_many_files_of_a_mail_are_kept():
    assert len(read(HOSTILE["many files"]).attachments) == ATTACHMENTS_MAX


LINES = st.sampled_from(
    [
        b"From: ada@customer.test",
        b"From: =?utf-8?q?=FF?= <a@b.test>",
        b"To: \xff\xfe<",
        b"Subject: =?x?b?=?=",
        b"Content-Type: multipart/mixed; boundary=b",
        b"Content-Type: multipart/report; report-type=delivery-status; boundary=b",
        b"Content-Type: message/rfc822",
        b"Content-Type: message/delivery-status",
        b"Content-Type: text/html; charset=utf-16",
        b"Content-Type: text/plain; charset=\xff",
        b"Content-Transfer-Encoding: base64",
        b"Content-Transfer-Encoding: quoted-printable",
        b"Content-Disposition: attachment; filename*=x''%FF",
        b"Message-ID: <a@b>",
        b"Final-Recipient: rfc822; a@b.test",
        b"Action: failed",
        b"Status: 5.1.1",
        b" folded",
        b"--b",
        b"--b--",
        b"",
        b"\0",
        b"<p>x<blockquote>y",
        b"4111111111111111",
    ]
)
MAILS = st.lists(st.one_of(LINES, st.binary(max_size=20)), max_size=30).map(b"\n".join)


@limits(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(st.binary(max_size=300), MAILS))
def test_any_bytes_are_read_or_refused_and_hold_nothing_that_postgres_cannot_store(raw):
    kept = storable(raw)
    assert identify(raw).message_id
    try:
        mail = read(kept)
    except UnreadableMailError:
        return
    guard(mail, own_addresses=(), loop_mark=None)
    bounces(mail)
    for text in _texts(mail):
        assert "\0" not in text
        text.encode("utf-8")


def _texts(mail: Mail) -> list[str]:
    texts = [mail.message_id, mail.sender, mail.sender_name, mail.title, mail.text, mail.quoted]
    texts += [*mail.recipients, *mail.in_reply_to, *mail.references]
    for each in mail.attachments:
        texts += [each.filename, each.media_type, each.content_id or ""]
    return texts


@limits(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(raw=st.binary(min_size=1, max_size=200))
async def test_any_signed_bytes_are_answered_without_a_5xx(client, raw):
    assert (await post(client, raw)).status_code in {202, 400}

"""Outgoing messages: a template's plain text and HTML, and the MIME message around them.

Templates are ``string.Template`` files in pairs, ``reply.txt`` and ``reply.html``, inside ``base``. There is
no logic in them, so there is nothing to inject into; values are escaped for HTML unless they are ``Markup``.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import cache
from pathlib import Path
from string import Template

import nh3

from app.mail.constants import NAME_MAX, TITLE_MAX
from app.parsing.cleaning import clean, clean_inline

TEMPLATES = Path(__file__).parent / "templates"
TAGS = {
    "p",
    "br",
    "a",
    "b",
    "strong",
    "i",
    "em",
    "ul",
    "ol",
    "li",
    "code",
    "pre",
    "blockquote",
    "h1",
    "h2",
    "h3",
}
PARAGRAPHS = re.compile(r"\n{2,}")


class Markup(str):
    """HTML that may stand in a mail as it is. ``Markup.of`` makes it of any HTML; nothing remote is kept."""

    __slots__ = ()

    @classmethod
    def of(cls, source: str) -> Markup:
        """Harmless HTML: text, lists, links to web and mail addresses; no images, no styles."""
        return cls(
            nh3.clean(source, tags=TAGS, attributes={"a": {"href"}}, url_schemes={"https", "http", "mailto"})
        )

    @classmethod
    def of_text(cls, text: str) -> Markup:
        """Paragraphs and line breaks of a plain text."""
        paragraphs = PARAGRAPHS.split(html.escape(text.strip()))
        return cls("".join(f"<p>{each.replace(chr(10), '<br>')}</p>" for each in paragraphs))


@dataclass(frozen=True, kw_only=True, slots=True)
class Rendered:
    """Both forms of a mail's body."""

    text: str
    html: str


@cache
def _template(name: str) -> Template:
    return Template((TEMPLATES / name).read_text(encoding="utf-8"))


def render(template: str, context: Mapping[str, str], *, unsubscribe: str | None = None) -> Rendered:
    """``KeyError`` when the template asks for a value that is not in ``context``.

    A value ``body`` may come with ``body_html``, the same in HTML of any origin; otherwise it is made of the
    text. ``unsubscribe``: the link at the end.
    """
    plain = {name: clean(value) for name, value in context.items() if name != "body_html"}
    shown: dict[str, str] = {name: html.escape(value) for name, value in plain.items()}
    if "body" in plain:
        source = context.get("body_html")
        shown["body"] = Markup.of(clean(source)) if source is not None else Markup.of_text(plain["body"])
    footer = f"No more of these mails: {unsubscribe}" if unsubscribe else ""
    link = f'<a href="{html.escape(unsubscribe)}">No more of these mails</a>' if unsubscribe else ""
    return Rendered(
        text=_template("base.txt")
        .substitute(content=_template(f"{template}.txt").substitute(plain).strip(), footer=footer)
        .rstrip()
        + "\n",
        html=_template("base.html").substitute(
            content=_template(f"{template}.html").substitute(shown).strip(), footer=link
        ),
    )


def one_line(text: str, *, maximum: int = TITLE_MAX) -> str:
    """A value for a header: no line ends or other controls, so that it stays one header.

    Nor encoded words (RFC 2047): the library would decode them and write the line ends that may be in them.
    """
    return clean_inline(text).replace("=?", "= ?")[:maximum].rstrip()


@dataclass(frozen=True, kw_only=True, slots=True)
class Envelope:
    """The headers of a mail of ours. Addresses are ``is_sendable``."""

    message_id: str
    sender: str
    sender_name: str
    recipient: str
    recipient_name: str
    reply_to: str
    title: str
    sent_at: datetime
    references: tuple[str, ...] = ()
    automatic: bool = True
    unsubscribe: str | None = None


def build(envelope: Envelope, body: Rendered) -> bytes:
    """The message as it goes over the wire: RFC 5322 with CRLF, text and HTML as alternatives.

    Automatic mail says so (RFC 3834); what can be unsubscribed carries the one-click headers (RFC 8058).
    """
    message = EmailMessage(policy=SMTP)
    message["From"] = _address(envelope.sender_name, envelope.sender)
    message["To"] = _address(envelope.recipient_name, envelope.recipient)
    message["Reply-To"] = Address(addr_spec=envelope.reply_to)
    message["Subject"] = one_line(envelope.title)
    message["Date"] = format_datetime(envelope.sent_at)
    message["Message-ID"] = f"<{envelope.message_id}>"
    if envelope.references:
        message["In-Reply-To"] = f"<{envelope.references[-1]}>"
        message["References"] = " ".join(f"<{each}>" for each in envelope.references)
    if envelope.automatic:
        message["Auto-Submitted"] = "auto-replied" if envelope.references else "auto-generated"
        message["X-Auto-Response-Suppress"] = "All"
    message["X-Loop"] = envelope.sender
    if envelope.unsubscribe:
        message["List-Unsubscribe"] = f"<{envelope.unsubscribe}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(body.text, cte="quoted-printable")
    message.add_alternative(body.html, subtype="html", cte="quoted-printable")
    return message.as_bytes()


def _address(name: str, address: str) -> Address:
    return Address(display_name=one_line(name, maximum=NAME_MAX), addr_spec=address)

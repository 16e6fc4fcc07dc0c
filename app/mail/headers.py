"""Header values, read leniently: nothing that a mail says of itself makes these raise.

The standard library's own header objects raise on some malformed values and take quadratic time on long
ones. So values are taken raw, cut to a length, and read here.
"""

from __future__ import annotations

import base64
import quopri
import re
from collections.abc import Iterable
from email.utils import getaddresses

from app.mail.constants import ADDRESS_MAX, HEADER_MAX, MESSAGE_ID_MAX, NAME_MAX
from app.parsing.cleaning import clean_inline

WORD = re.compile(r"=\?([A-Za-z0-9_.:*-]{1,60})\?([BbQq])\?([^?\s]{0,4000})\?=")
BETWEEN_WORDS = re.compile(r"(\?=)[ \t\r\n]+(?==\?)")
MESSAGE_ID = re.compile(r"<([^<>\s]{1,900})>")
ADDRESS = re.compile(r"[^\s@<>\"(),:;\\\x00-\x1f\x7f-\x9f]{1,64}@[^\s@<>\"(),:;\\\x00-\x1f\x7f-\x9f]{1,190}")
# What an address of ours may look like when it goes to a mail server: no quoting, no other script.
SENDABLE = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*")


def unfolded(value: object) -> str:
    """A raw header value as text of at most ``HEADER_MAX`` characters.

    Bytes outside of ASCII are UTF-8 when they can be, otherwise Windows-1252.
    """
    text = str(value)[:HEADER_MAX]
    if not text.isascii():
        data = text.encode("utf-8", "surrogateescape")
        text = _decoded(data, "utf-8")
    return text.replace("\r", " ").replace("\n", " ").replace("\0", "")


def words(value: object, *, maximum: int = NAME_MAX) -> str:
    """A text header with its encoded words (RFC 2047) decoded, on one line."""
    joined = BETWEEN_WORDS.sub(r"\1", unfolded(value))
    pieces: list[str] = []
    waiting, charset, end = b"", "", 0
    for word in WORD.finditer(joined):
        between = joined[end : word.start()]
        # A character may be cut in two by the border between words: bytes of one charset are joined first.
        if waiting and (between or word[1].lower() != charset):
            pieces.append(_decoded(waiting, charset))
            waiting = b""
        pieces.append(between)
        charset, end = word[1].lower(), word.end()
        waiting += _bytes(word[2].lower(), word[3])
    pieces += [_decoded(waiting, charset), joined[end:]]
    return clean_inline("".join(pieces))[:maximum].strip()


def _bytes(encoding: str, text: str) -> bytes:
    data = text.encode("ascii", "ignore")
    if encoding == "q":
        return quopri.decodestring(data, header=True)
    try:
        return base64.b64decode(data + b"=" * (-len(data) % 4))
    except ValueError:
        return data


def _decoded(data: bytes, charset: str) -> str:
    name = charset.partition("*")[0]  # RFC 2231 adds a language
    for attempt in (name, "utf-8"):
        try:
            return data.decode(attempt)
        except (LookupError, ValueError, TypeError, AssertionError):
            continue
    return data.decode("cp1252", "replace")


def mailboxes(values: Iterable[object], *, maximum: int) -> list[tuple[str, str]]:
    """(name, address) of each mailbox in address headers, addresses in lower case; malformed ones are left
    out.
    """
    found: list[tuple[str, str]] = []
    for value in values:
        try:
            pairs = getaddresses([unfolded(value)])
        except (ValueError, IndexError, TypeError, AttributeError, RecursionError):
            continue
        for name, address in pairs:
            lowered = address.strip().lower()
            if len(lowered) <= ADDRESS_MAX and ADDRESS.fullmatch(lowered) and len(found) < maximum:
                found.append((words(name), lowered))
    return found


def message_ids(values: Iterable[object], *, maximum: int) -> list[str]:
    """Message-IDs without their brackets, in order, the last ``maximum``: References end with the newest."""
    found = [each for value in values for each in MESSAGE_ID.findall(unfolded(value))]
    return list(dict.fromkeys(each[:MESSAGE_ID_MAX] for each in found))[-maximum:]


def is_sendable(address: str) -> bool:
    """Whether a mail server takes this address without extensions: ASCII, unquoted."""
    return len(address) <= ADDRESS_MAX and SENDABLE.fullmatch(address) is not None

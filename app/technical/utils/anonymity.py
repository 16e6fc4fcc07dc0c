"""Texts without what names somebody: people, accounts, addresses, telephone numbers, secrets.

A false alarm costs a word of a note, a miss shows a customer to others: in doubt it goes. Each rule takes
time linear in the text's length.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from app.redaction import redact

PERSON, ACCOUNT = "[name]", "[company]"
ADDRESS, TELEPHONE, SECRET = "[e-mail address]", "[telephone number]", "[secret]"
CUT = "…"
ROUNDS = 5  # what is gone may bring to light what stood beside it
NAMES_MAX = 400  # people of one ticket whose names are looked for

E_MAIL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
URL = re.compile(
    r"\b(https?|ftp|wss?)://(?:[^\s/@<>\"']{1,200}@)?([^\s<>\"'?#()\]]{1,2000})([?#][^\s<>\"')\]]*)?"
)
# Parts of a path that stand for one thing or one person: ids, hashes, tokens.
IDENTIFIER = re.compile(
    r"(?<=/)(?:[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{12,}|\d{4,}"
    r"|(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{16,})(?=/|$)"
)
TOKEN = re.compile(r"\beyJ[\w-]{10,}(?:\.[\w-]+){1,4}|\b(?:sk|pk|rk|tdk|ghp|xox[abp])[_-][\w-]{10,}")
BEARER = re.compile(r"\b(Bearer|Basic)[ \t]+[\w.~+/=-]{8,}", re.IGNORECASE)
ASSIGNED = re.compile(
    r"\b((?:password|passwort|passwd|pwd|secret|api[ _-]?key|access[ _-]?token|token)[\"']?[ \t]*[:=][ \t]*)"
    r"(?!\[secret\])[^\s,;]{3,}",
    re.IGNORECASE,
)
# With a plus, with brackets around the area, after a word that says so, or in the groups of North America.
_DIGITS = r"\d(?:[ \t()./\u2010-\u2015-]{0,3}\d){6,14}"
PHONE = re.compile(
    rf"(?<![\w.])(?:(?:\+|00)[ \t(]{{0,2}}{_DIGITS}|\(0?\d{{1,5}}\)[ \t/-]{{0,3}}\d(?:[ \t./-]?\d){{4,9}}"
    r"|\d{3}[-. ]\d{3}[-. ]\d{4})(?![\w])"
)
SPOKEN = re.compile(
    r"\b((?:tel|telephone|telefon|phone|mobile|mobil|handy|cell|fax|call(?: me)?(?: at| on)?)\b[ \t.:]{0,3})"
    rf"{_DIGITS}(?!\w)",
    re.IGNORECASE,
)
LEGAL_FORM = re.compile(
    r"[ ,]+(?:gmbh(?: & co\.? kg)?|ag|kg|se|ug|e\.?v\.?|ltd\.?|limited|llc|inc\.?|corp\.?|corporation|co\.?"
    r"|company|plc|s\.?a\.?|s\.?a\.?r\.?l\.?|b\.?v\.?|oy|ab|aps|pty)$",
    re.IGNORECASE,
)


def anonymous(text: str, *, people: Iterable[str] = (), accounts: Iterable[str] = ()) -> str:
    """The text without cards, secrets, addresses, telephone numbers, what is private in URLs, and the names.

    ``people``: whole names; each of their words that begins with a capital goes too, spelled so.
    ``accounts``: companies, with or without their legal form. Doing it again changes nothing further.
    """
    people, accounts = list(people), list(accounts)
    for _ in range(ROUNDS):
        found = _anonymous(text, people, accounts)
        if found == text:
            break
        text = found
    return text


def _anonymous(text: str, people: Iterable[str], accounts: Iterable[str]) -> str:
    text = redact(text)
    text = URL.sub(_bare, text)
    text = BEARER.sub(rf"\1 {SECRET}", TOKEN.sub(SECRET, text))
    text = ASSIGNED.sub(rf"\1{SECRET}", text)
    text = E_MAIL.sub(ADDRESS, text)
    text = SPOKEN.sub(rf"\1{TELEPHONE}", PHONE.sub(TELEPHONE, text))
    text = _without(text, _companies(accounts), ACCOUNT, re.IGNORECASE)
    whole = sorted({each.strip() for each in people if len(each.strip()) > 2}, key=len, reverse=True)[
        :NAMES_MAX
    ]
    text = _without(text, whole, PERSON, re.IGNORECASE)
    return _without(text, _words(whole), PERSON, re.NOFLAG)


def _bare(url: re.Match[str]) -> str:
    """Scheme, host and path: who was logged in, and with which token, is nobody's business."""
    return f"{url[1]}://{IDENTIFIER.sub(CUT, url[2])}"


def _companies(names: Iterable[str]) -> list[str]:
    whole = {each.strip() for each in names}
    bare = {LEGAL_FORM.sub("", each) for each in whole}
    return sorted({each for each in whole | bare if len(each) > 1}, key=len, reverse=True)


def _words(names: Iterable[str]) -> list[str]:
    words = {word for name in names for word in re.findall(r"[^\W\d_]{2,}", name) if word[0].isupper()}
    return sorted(words | {word.upper() for word in words}, key=len, reverse=True)


def _without(text: str, names: Iterable[str], mark: str, flags: re.RegexFlag) -> str:
    choices = "|".join(re.escape(each) for each in names)
    if not choices:
        return text
    return re.sub(rf"(?<![\w\[])(?:{choices})(?![\w\]])", mark, text, flags=flags)

"""Pure rules about names, addresses and ids that come from outside."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from app.exceptions import InvalidError
from app.identity.constants import EMAIL_MAX, EXTERNAL_ID_MAX, NAME_MAX

# Cc: control (Postgres refuses NUL altogether); Cs: lone surrogates, which are not UTF-8; Zl, Zp: line ends.
REFUSED_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
# These reorder the text around them, so that a name could pass for another one.
REFUSED_CHARACTERS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
EMAIL = re.compile(r"[^\s@]+@[^\s@]+")


def _invalid(field: str, message: str) -> InvalidError:
    return InvalidError(f"{field}: {message}", errors=[{"field": field, "message": message}])


def clean_text(value: str, *, field: str, maximum: int) -> str:
    """The text without blanks around it; ``InvalidError`` when empty, too long or not printable."""
    text = value.strip(" \t\r\n\u00a0")
    if not text:
        raise _invalid(field, "Must not be blank")
    if len(text) > maximum:
        raise _invalid(field, f"Must have at most {maximum} characters")
    if any(unicodedata.category(each) in REFUSED_CATEGORIES or each in REFUSED_CHARACTERS for each in text):
        raise _invalid(field, "Must not contain control characters")
    return text


def clean_name(value: str) -> str:
    """A name as it is stored."""
    return clean_text(value, field="name", maximum=NAME_MAX)


def clean_email(value: str) -> str:
    """An e-mail address as it is stored. Checks the shape only: whether it exists, only a mail can tell."""
    email = clean_text(value, field="email", maximum=EMAIL_MAX)
    if not EMAIL.fullmatch(email):
        raise _invalid("email", "Must look like name@example.com")
    return email


def clean_external_id(value: str, *, field: str = "external_id") -> str:
    """The host app's id, exactly: one with blanks around it is refused, it would match nothing later."""
    if clean_text(value, field=field, maximum=EXTERNAL_ID_MAX) != value:
        raise _invalid(field, "Must not begin or end with blanks")
    return value


def erased_subject(external_id: str) -> bytes:
    """What is kept of an erased person's external id: SHA-256, 32 bytes.

    Enough to recognise a token that names it, and too little to read it back; who guesses an id can check the
    guess, so that host apps better use ids that mean nothing elsewhere.
    """
    return hashlib.sha256(f"tridesk:erased:{external_id}".encode()).digest()


def subject_lock(external_id: str) -> int:
    """Number of the advisory lock under which a person of this external id is made or erased."""
    return int.from_bytes(hashlib.sha256(f"tridesk:subject:{external_id}".encode()).digest()[:8], signed=True)

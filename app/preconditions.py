"""Versions as ETags (RFC 9110): who changes a thing says which version they have seen.

``expected: NamedDependency[Expected]`` holds its ``If-Match``; ``expected.check(row.version)`` after
the row is locked answers a stale one with 412. The ETag of an answer is the ``version`` of what is returned;
``documented(etag=False)`` for a ``version`` that counts something else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Request

from app.exceptions import InvalidError, TrideskError

ETAG = "etag"  # keys of a handler's opt
CONDITIONAL = "conditional"
ANY = "*"
WEAK = "W/"
LIST_MAX = 1000  # characters of If-Match
TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
TAGS = re.compile(rf"{TAG}(?:[ \t]*,[ \t]*(?:{TAG})?)*")  # a list may have empty members
AnyRequest = Request[Any, Any, Any]


class VersionMismatchError(TrideskError):
    """The thing was changed since: it has another version than the one in `If-Match`."""

    status_code = 412
    code = "version_mismatch"
    title = "Version mismatch"


@dataclass(frozen=True, slots=True)
class Expected:
    """The tags of ``If-Match``, of which a weak one (``W/"3"``) is never that of a version; None: whatever
    there is (no header, or ``*``).
    """

    tags: frozenset[str] | None = None

    def check(self, version: int) -> None:
        """``VersionMismatchError``, with the current version, unless this is an expected one.

        Call it on the locked row: a version read before the lock may be old by the time of the change.
        """
        if self.tags is None or etag(version) in self.tags:
            return
        detail = "This has been changed since you read it; read it again."
        if WEAK + etag(version) in self.tags or all(each.startswith(WEAK) for each in self.tags):
            detail = f"A weak tag ({WEAK}) never matches a version; send the ETag without {WEAK}."
        raise VersionMismatchError(detail, current_version=version)


ANYTHING = Expected()


async def provide_expected(request: AnyRequest) -> Expected:
    """The request's ``If-Match``; ``InvalidError`` when it is malformed. Weak tags match nothing."""
    given = request.headers.getall("if-match", [])
    if not given:
        return ANYTHING
    text = ", ".join(given).strip()
    if text == ANY:
        return ANYTHING
    tags = _tags(text)
    if tags is None:
        message = 'Not `*` and not a list of entity tags like `"3"`'
        raise InvalidError(f"If-Match: {message}", errors=[{"field": "If-Match", "message": message}])
    return Expected(frozenset(tags))


def etag(version: int) -> str:
    """The tag of a version: ``"3"``, strong."""
    return f'"{version}"'


def etag_of(content: object) -> str | None:
    """The tag of what a handler returned; None for what has no version."""
    version = getattr(content, "version", None) if isinstance(content, msgspec.Struct) else None
    return etag(version) if type(version) is int else None


def is_unmodified(request: AnyRequest, tag: str) -> bool:
    """Whether the reader has this version already: ``If-None-Match`` names it, weak or not.

    A malformed header is as good as none: the whole answer is always right.
    """
    text = ", ".join(request.headers.getall("if-none-match", [])).strip()
    return text == ANY or tag in {each.removeprefix(WEAK) for each in _tags(text) or ()}


def _tags(text: str) -> list[str] | None:
    if len(text) > LIST_MAX or not TAGS.fullmatch(text):
        return None
    return re.findall(TAG, text)

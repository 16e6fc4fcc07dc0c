"""Reading, locking and changing one request: each change is one version and one event.

Texts stay out of events, so that erasing them in one place is enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.events import Subject
from app.features.constants import SUBJECT_TYPE
from app.features.exceptions import RequestMergedError, RequestNotFoundError
from app.features.models import Request
from app.features.service.access import requests_of
from app.identity.principal import Principal

FRESH = {"populate_existing": True}
# FOR NO KEY UPDATE: what refers to a locked request (a vote, a comment) need not wait for it.
EXCLUSIVE = {"key_share": True}
TEXTS = frozenset({"title", "body", "body_html"})
STAFF_FIELDS = frozenset({"external_id", "split_from_id"})


def subject_of(request_id: UUID) -> Subject:
    """What rooms and events know a request as."""
    return Subject(SUBJECT_TYPE, request_id)


async def get(session: AsyncSession, request_id: UUID, *, principal: Principal | None) -> Request:
    """The request; ``RequestNotFoundError`` also when the caller may not see it."""
    statement = select(Request).where(Request.id == request_id, requests_of(principal))
    return _found(await session.scalar(statement, execution_options=FRESH))


async def lock(session: AsyncSession, request_id: UUID, *, principal: Principal) -> Request:
    """The request as it is now, kept from changing until the transaction ends; errors as ``get``."""
    statement = select(Request).where(Request.id == request_id, requests_of(principal))
    locking = statement.with_for_update(of=Request, **EXCLUSIVE)
    return _found(await session.scalar(locking, execution_options=FRESH))


def check_unmerged(request: Request) -> None:
    """``RequestMergedError`` with the target."""
    if request.merged_into_id is not None:
        raise RequestMergedError(
            "This request was merged into another one.", target_id=request.merged_into_id
        )


async def change(
    session: AsyncSession,
    request: Request,
    values: Mapping[str, Any],
    *,
    actor: Principal,
    type: str = "feature_request.updated",  # noqa: A002 - the event's type, as the API calls it
    told: Mapping[str, Any] | None = None,
) -> Request:
    """Change a locked request; what is the same already is left out, and nothing left changes nothing.

    ``told``: further members of the event that are no state of the request.
    """
    changed = {name: value for name, value in values.items() if getattr(request, name) != value}
    if not changed:
        return request
    before = {name: getattr(request, name) for name in changed if name not in TEXTS}
    statement = (
        update(Request)
        .where(Request.id == request.id)
        .values(version=Request.version + 1, updated_at=func.now(), **changed)
        .returning(Request)
    )
    request = (await session.scalars(statement, execution_options=FRESH)).one()
    after = {name: getattr(request, name) for name in changed if name not in TEXTS}
    after |= {"version": request.version} | dict(told or {})
    if TEXTS & changed.keys():
        after["rewritten"] = sorted({"title", "body"} & changed.keys())
    await record(session, type, request, actor=actor, before=before, after=after)
    return request


async def record(
    session: AsyncSession,
    type: str,  # noqa: A002 - the event's type, as the API calls it
    request: Request,
    *,
    actor: Principal,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    person_id: UUID | None = None,
    customer_visible: bool = True,
) -> None:
    """An event about a request, seen by its author, or by ``person_id`` whom it is about, such as a voter."""
    named = set(before or ()) | set(after or ())
    await events.record(
        session,
        type,
        subject=subject_of(request.id),
        actor=actor,
        before=before,
        after=after,
        person_id=person_id or request.author_id,
        customer_visible=customer_visible,
        staff_fields=named & STAFF_FIELDS,
    )


def _found(request: Request | None) -> Request:
    if request is None:
        raise RequestNotFoundError("There is no such request.")
    return request

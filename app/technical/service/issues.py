"""Known issues: made, changed, linked to tickets, found by what a ticket says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from msgspec import UNSET
from sqlalchemy import ColumnElement, Select, Text, and_, case, cast, func, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.events import Subject
from app.identity.principal import Principal
from app.listing import Listing, any_of
from app.listing import matching as holds
from app.preconditions import ANYTHING, Expected
from app.redaction import redact
from app.technical.constants import (
    ISSUE_TYPE,
    UNFINISHED,
    IssueStatus,
    Severity,
)
from app.technical.exceptions import IssueNotFoundError, IssueResolvedError
from app.technical.models import KnownIssue, Ticket
from app.technical.schemas.issues import IssueView
from app.technical.service import assigning, signatures
from app.technical.utils.numbers import ISSUES as NUMBERS

FRESH = {"populate_existing": True}
TEXTS = ("title", "description", "workaround", "product", "component", "product_version")
NEAREST = 3

ISSUES = Listing(
    KnownIssue,
    sorts={
        "created_at": KnownIssue.created_at,
        "updated_at": KnownIssue.updated_at,
        "number": KnownIssue.number,
    },
    default="-created_at",
)


async def create(session: AsyncSession, *, actor: Principal, **given: Any) -> KnownIssue:
    """A new known issue. ``given``: members of an ``IssueCreate``. ``UnknownAssigneeError`` of its owner."""
    values = _cleaned({name: value for name, value in given.items() if value is not None})
    values.setdefault("signatures", signatures.found(values["title"], values["description"]))
    await assigning.check_assignee(session, values.get("owner_id"))
    if values.get("status") == IssueStatus.resolved:
        values["resolved_at"] = datetime.now(UTC)
    issue = (await session.scalars(insert(KnownIssue).values(values).returning(KnownIssue))).one()
    await record(session, "known_issue.created", issue, actor=actor, after=_told(issue, values))
    return issue


async def get(session: AsyncSession, issue_id: UUID) -> KnownIssue:
    """The issue; ``IssueNotFoundError``."""
    return _found(await session.get(KnownIssue, issue_id, populate_existing=True))


async def lock(session: AsyncSession, issue_id: UUID) -> KnownIssue:
    """The issue, kept from changing until the transaction ends; before any ticket. ``IssueNotFoundError``."""
    return _found(await session.get(KnownIssue, issue_id, with_for_update=True, populate_existing=True))


async def change(
    session: AsyncSession, issue_id: UUID, *, actor: Principal, expected: Expected = ANYTHING, **given: Any
) -> KnownIssue:
    """Change what is given. ``IssueNotFoundError``, ``VersionMismatchError``, ``UnknownAssigneeError``."""
    issue = await lock(session, issue_id)
    expected.check(issue.version)
    values = _cleaned({name: value for name, value in given.items() if value is not UNSET})
    await assigning.check_assignee(session, values.get("owner_id"))
    return await apply(session, issue, values, actor=actor)


async def apply(
    session: AsyncSession, issue: KnownIssue, values: Mapping[str, Any], *, actor: Principal
) -> KnownIssue:
    """Change a locked issue: one version, one event; the time of its resolution follows its status."""
    changed = {name: value for name, value in values.items() if getattr(issue, name) != value}
    if not changed:
        return issue
    if "status" in changed:
        resolved = changed["status"] == IssueStatus.resolved
        changed["resolved_at"] = datetime.now(UTC) if resolved else None
    before = _told(issue, changed)
    statement = (
        update(KnownIssue)
        .where(KnownIssue.id == issue.id)
        .values(version=KnownIssue.version + 1, updated_at=func.now(), **changed)
        .returning(KnownIssue)
    )
    issue = (await session.scalars(statement, execution_options=FRESH)).one()
    after = _told(issue, changed)
    await record(session, "known_issue.updated", issue, actor=actor, before=before, after=after)
    return issue


def check_unresolved(issue: KnownIssue) -> None:
    """``IssueResolvedError``."""
    if issue.status == IssueStatus.resolved:
        raise IssueResolvedError("This known issue is resolved already.")


def listed(
    *,
    statuses: Sequence[IssueStatus] | None = None,
    severities: Sequence[Severity] | None = None,
    products: Sequence[str] | None = None,
    text: str | None = None,
) -> Select[KnownIssue]:
    """Issues that a list shows."""
    return select(KnownIssue).where(
        any_of(KnownIssue.status, statuses),
        any_of(KnownIssue.severity, severities),
        any_of(KnownIssue.product, products),
        holds(text, KnownIssue.title, KnownIssue.description),
    )


async def matching(session: AsyncSession, ticket: Ticket) -> list[tuple[KnownIssue, str]]:
    """Unresolved issues that a ticket is likely about, the likeliest first, each with the reason.

    By a signature that both have; else by product and version, where the issue names both.
    """
    return await matching_text(
        session,
        known=ticket.signatures,
        product=ticket.product,
        product_version=ticket.product_version,
    )


async def matching_text(
    session: AsyncSession,
    *,
    known: Sequence[str],
    product: str | None = None,
    product_version: str | None = None,
) -> list[tuple[KnownIssue, str]]:
    """``matching`` for a text that is no ticket yet; ``known``: the signatures in it."""
    mine: Any = KnownIssue.signatures  # the comparator of ARRAY, which the mapped type hides
    same: ColumnElement[bool] = mine.overlap(cast(list(known), ARRAY(Text)))
    place = and_(
        func.lower(KnownIssue.product) == (product or "").lower(),
        KnownIssue.product_version == product_version,
    )
    statement = (
        select(KnownIssue, same.label("same"))
        .where(KnownIssue.status != IssueStatus.resolved, or_(same, place))
        .order_by(case((same, 0), else_=1), KnownIssue.created_at.desc(), KnownIssue.id.desc())
        .limit(NEAREST)
    )
    found = (await session.execute(statement, execution_options=FRESH)).all()
    return [(issue, "same_signature" if is_same else "same_version") for issue, is_same in found]


async def show_all(session: AsyncSession, issues: Sequence[KnownIssue]) -> list[IssueView]:
    """Issues with how many tickets they have, in one query more."""
    counts = await _counts(session, [each.id for each in issues])
    return [_view(each, *counts.get(each.id, (0, 0))) for each in issues]


async def show(session: AsyncSession, issue: KnownIssue) -> IssueView:
    """One issue."""
    return (await show_all(session, [issue]))[0]


async def record(
    session: AsyncSession,
    type: str,  # noqa: A002 - the event's type, as the API calls it
    issue: KnownIssue,
    *,
    actor: Principal,
    **told: Any,
) -> None:
    """An event about the issue, for the staff."""
    await events.record(session, type, subject=Subject(ISSUE_TYPE, issue.id), actor=actor, **told)


def _found(issue: KnownIssue | None) -> KnownIssue:
    if issue is None:
        raise IssueNotFoundError("There is no such known issue.")
    return issue


def _cleaned(values: Mapping[str, Any]) -> dict[str, Any]:
    cleaned = {
        name: value.strip() if isinstance(value, str) and name not in ("description", "workaround") else value
        for name, value in values.items()
    }
    cleaned |= {name: redact(cleaned[name]) for name in TEXTS if cleaned.get(name)}
    if "signatures" in cleaned:
        cleaned["signatures"] = sorted({redact(each) for each in cleaned["signatures"]})
    return cleaned


def _told(issue: KnownIssue, values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields as they are, without longer texts."""
    kept = {name: getattr(issue, name) for name in values if name not in ("description", "workaround")}
    return kept | {"version": issue.version}


async def _counts(session: AsyncSession, issue_ids: Sequence[UUID]) -> dict[UUID, tuple[int, int]]:
    is_open = Ticket.status.in_(UNFINISHED)
    statement = (
        select(Ticket.issue_id, func.count(), func.count().filter(is_open))
        .where(Ticket.issue_id.in_(issue_ids))
        .group_by(Ticket.issue_id)
    )
    found = await session.execute(statement)
    return {issue_id: (count, unfinished) for issue_id, count, unfinished in found if issue_id is not None}


def _view(issue: KnownIssue, tickets: int, open_tickets: int) -> IssueView:
    return IssueView(
        id=issue.id,
        number=NUMBERS.shown(issue.number),
        title=issue.title,
        description=issue.description,
        workaround=issue.workaround,
        status=IssueStatus(issue.status),
        severity=Severity(issue.severity) if issue.severity else None,
        product=issue.product,
        component=issue.component,
        product_version=issue.product_version,
        signatures=list(issue.signatures),
        owner_id=issue.owner_id,
        resolved_at=issue.resolved_at,
        tickets=tickets,
        open_tickets=open_tickets,
        version=issue.version,
        created_at=issue.created_at,
        updated_at=issue.updated_at,
    )

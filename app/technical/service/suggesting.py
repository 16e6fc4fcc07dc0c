"""Everything that may help with a ticket, each part by itself: what cannot be had is left out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import Database, is_database_away
from app.exceptions import TrideskError
from app.identity.principal import Principal
from app.knowledge import AccountFacts
from app.technical.constants import IssueStatus, Status
from app.technical.desk import Desk
from app.technical.models import Resolution, Ticket
from app.technical.schemas.suggestions import (
    DuplicateTicket,
    FactPanel,
    IssueHint,
    PublicIssue,
    SimilarTicket,
    SimilarWhy,
    Suggestions,
)
from app.technical.service import changes, drafting, duplicates, issues, signatures
from app.technical.service.duplicates import Alike
from app.technical.service.noting import PUBLISHED
from app.technical.utils.numbers import ISSUES, TICKETS

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Compared:
    """Tickets like one, most alike first, and the solutions of those that have a note."""

    alike: Sequence[Alike]
    solutions: Mapping[UUID, str]


@dataclass(frozen=True, slots=True)
class _Beside:
    """What is known of a ticket without comparing it."""

    issue: IssueHint | None
    panels: list[FactPanel]


async def suggest(
    database: Database, desk: Desk, ticket_id: UUID, *, principal: Principal, draft: bool, limit: int
) -> Suggestions:
    """For the staff. Of each kind up to ``limit``; ``draft=False`` leaves the costly part out.

    The database compares tickets while the models read the question. ``TicketNotFoundError``.
    """
    async with database.session() as session:
        ticket = await changes.get(session, ticket_id, principal=principal)
        asked = await drafting.wanted(session, ticket)
        beside = await _beside(session, desk, ticket, principal=principal)
    compared, given = await asyncio.gather(
        _compared(database, desk, ticket),
        drafting.draft(database, desk, asked, principal=principal, write=draft, limit=limit),
    )
    return Suggestions(
        ticket_id=ticket.id,
        draft=given.reply,
        draft_missing=given.missing,
        hints=list(given.hints),
        similar=[_similar(each, ticket, compared.solutions) for each in compared.alike[:limit]],
        duplicates=[_duplicate(each, ticket) for each in duplicates.likely(compared.alike, ticket)[:limit]],
        issue=beside.issue,
        account_facts=beside.panels,
    )


async def public_issues(
    session: AsyncSession, *, subject: str, description: str, product: str | None, product_version: str | None
) -> list[PublicIssue]:
    """Known issues that a text is likely about and that something helps against, as customers may be told."""
    found = await issues.matching_text(
        session,
        known=signatures.found(subject, description),
        product=product,
        product_version=product_version,
    )
    return [
        PublicIssue(title=issue.title, workaround=issue.workaround)
        for issue, _ in found
        if issue.workaround.strip()
    ]


async def _issue(session: AsyncSession, ticket: Ticket) -> IssueHint | None:
    """The one that it is linked to, or else the likeliest."""
    if ticket.issue_id is not None:
        issue, reason = await issues.get(session, ticket.issue_id), "linked"
    elif matching := await issues.matching(session, ticket):
        issue, reason = matching[0]
    else:
        return None
    return IssueHint(
        id=issue.id,
        number=ISSUES.shown(issue.number),
        title=issue.title,
        status=IssueStatus(issue.status),
        workaround=issue.workaround,
        reason=reason,
    )


async def _beside(session: AsyncSession, desk: Desk, ticket: Ticket, *, principal: Principal) -> _Beside:
    panels = []
    if ticket.account_id is not None:
        panels = [
            await _panel(session, each, ticket.account_id, principal=principal) for each in desk.account_facts
        ]
    return _Beside(await _issue(session, ticket), panels)


async def _compared(database: Database, desk: Desk, ticket: Ticket) -> _Compared:
    async with database.session() as session:
        alike = await duplicates.similar(session, desk, ticket)
        solutions = await _solutions(session, [each.ticket.id for each in alike])
    return _Compared([each for each in alike if each.ticket.status != Status.merged], solutions)


async def _panel(
    session: AsyncSession, source: AccountFacts, account_id: UUID, *, principal: Principal
) -> FactPanel:
    """A panel, or the name of what kept it from being read: another desk's failure is not this one's."""
    try:
        async with session.begin_nested():
            facts = await source.facts(session, account_id, principal=principal)
        plain: dict[str, Any] = msgspec.to_builtins(facts, str_keys=True)
        return FactPanel(name=source.name, facts=plain)
    except Exception as error:
        if is_database_away(error):
            raise
        logger.warning("the panel %s failed: %s", source.name, type(error).__name__)
        code = error.code if isinstance(error, TrideskError) else type(error).__name__
        return FactPanel(name=source.name, facts=None, error=code)


async def _solutions(session: AsyncSession, ticket_ids: Sequence[UUID]) -> dict[UUID, str]:
    statement = select(Resolution.ticket_id, Resolution.solution).where(
        Resolution.ticket_id.in_(ticket_ids), Resolution.state == PUBLISHED
    )
    return {row.ticket_id: row.solution for row in await session.execute(statement)}


def _similar(alike: Alike, ticket: Ticket, solutions: Mapping[UUID, str]) -> SimilarTicket:
    other = alike.ticket
    return SimilarTicket(
        id=other.id,
        number=TICKETS.shown(other.number),
        subject=other.subject,
        status=Status(other.status),
        product=other.product,
        product_version=other.product_version,
        created_at=other.created_at,
        score=alike.match.score,
        why=_why(alike, ticket),
        resolution=solutions.get(other.id),
    )


def _duplicate(alike: Alike, ticket: Ticket) -> DuplicateTicket:
    other = alike.ticket
    return DuplicateTicket(
        id=other.id,
        number=TICKETS.shown(other.number),
        subject=other.subject,
        status=Status(other.status),
        created_at=other.created_at,
        confidence=alike.match.probability,
        open=duplicates.is_open(other),
        same_requester=other.requester_id is not None and other.requester_id == ticket.requester_id,
        same_account=other.account_id is not None and other.account_id == ticket.account_id,
        why=_why(alike, ticket),
    )


def _why(alike: Alike, ticket: Ticket) -> SimilarWhy:
    other, match = alike.ticket, alike.match
    same_product = ticket.product is not None and other.product == ticket.product
    version = ticket.product_version
    return SimilarWhy(
        terms=list(match.terms),
        same_signatures=list(match.same_signatures),
        same_product=same_product,
        same_version=same_product and version is not None and other.product_version == version,
        cosine=match.cosine,
    )

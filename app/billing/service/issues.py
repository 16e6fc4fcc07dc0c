"""Known issues of another desk, as this one knows them: by id, number and title."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.desk import Desk
from app.billing.exceptions import UnknownReferenceError
from app.events import Subject
from app.identity.principal import Principal
from app.knowledge import WorkItem

ISSUE_TYPE = "known_issue"


async def find(session: AsyncSession, desk: Desk, issue_id: UUID, *, principal: Principal) -> WorkItem | None:
    """The known issue, from whichever desk has it."""
    for work in desk.open_work:
        item = await work.item(session, Subject(ISSUE_TYPE, issue_id), principal=principal)
        if item is not None:
            return item
    return None


async def check(session: AsyncSession, desk: Desk, issue_id: object, *, principal: Principal) -> None:
    """``UnknownReferenceError`` for a known issue that no desk has; None and UNSET name none.

    To customers issues do not exist: that they name one is refused by who takes it.
    """
    if not isinstance(issue_id, UUID) or not principal.is_staff:
        return
    if await find(session, desk, issue_id, principal=principal) is None:
        raise UnknownReferenceError(
            "There is no such known issue.",
            field="issue_id",
            errors=[{"field": "issue_id", "message": "Unknown"}],
        )

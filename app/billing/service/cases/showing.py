"""Cases as the API shows them: customers see nothing of what is the staff's."""

from __future__ import annotations

from msgspec import convert, structs
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.models import Case
from app.billing.schemas.cases import BillingCaseView
from app.billing.service.cases.listing import CASES, CaseFilter, wanted
from app.billing.utils.numbers import CASES as NUMBERS
from app.identity.principal import Principal
from app.pagination import Page

FIELDS = [each.name for each in structs.fields(BillingCaseView) if each.name != "number"]


def show(case: Case, *, principal: Principal) -> BillingCaseView:
    """One case."""
    values = {name: getattr(case, name) for name in FIELDS}
    if not principal.is_staff:
        values |= {"tags": [], "assignee_id": None, "issue_id": None}
    return convert(values | {"number": NUMBERS.shown(case.number)}, BillingCaseView)


async def page(
    session: AsyncSession,
    asked: CaseFilter,
    *,
    principal: Principal,
    sort: str | None,
    total: bool,
    limit: int,
    cursor: str | None,
) -> Page[BillingCaseView]:
    """One page of what is wanted; ``InvalidError`` for an unknown sort or another list's cursor."""
    found = await CASES.fetch(
        session,
        wanted(principal, asked),
        limit=limit,
        sort=sort,
        cursor=cursor,
        filters=structs.asdict(asked),
        total=total,
    )
    shown = [show(each, principal=principal) for each in found.rows]
    return Page(items=shown, next_cursor=found.next_cursor, total=found.total)

"""Who may see which events."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Text, and_, cast, false, func, literal, not_, or_, true
from sqlalchemy.dialects.postgresql import JSONB

from app.events.constants import ADMINISTRATIVE_SUBJECTS
from app.events.models import Event
from app.identity.constants import Role
from app.identity.principal import Principal

ADMINISTRATIVE = or_(
    Event.subject_type.in_(ADMINISTRATIVE_SUBJECTS),
    and_(Event.audit, Event.account_id.is_(None), Event.person_id.is_(None)),
)
NOTHING = literal({}, JSONB)
NO_FIELDS = cast([], ARRAY(Text))
# `-` of jsonb and text[]: the object without those keys.
FIELDS = func.coalesce(Event.before, NOTHING).concat(func.coalesce(Event.after, NOTHING)).self_group()
HAS_SOMETHING_TO_SHOW = or_(Event.staff_fields == NO_FIELDS, FIELDS.op("-")(Event.staff_fields) != NOTHING)


def visible_to(principal: Principal) -> list[ColumnElement[bool]]:
    """Conditions of which any makes an event visible; no two hold for one, and each has an index in order.

    Leads and admins see everything, agents all but the administrative. A customer sees what is marked as
    visible, is theirs or (if they may see it) their account's, and has more to show than fields for staff.
    An event that was emptied by ``forget`` counts as having none if it had any.
    """
    if principal.at_least(Role.lead):
        return [true()]
    if principal.is_staff:
        return [not_(ADMINISTRATIVE)]
    return [and_(each, HAS_SOMETHING_TO_SHOW) for each in owned_by(principal)]


def owned_by(principal: Principal) -> list[ColumnElement[bool]]:
    """What is a customer's own, likewise; ``[false()]`` for a key of nobody."""
    own, account = owners(principal)
    branches: list[ColumnElement[bool]] = []
    if own is not None:
        branches.append(and_(Event.customer_visible, Event.person_id == own))
    if account is not None:
        branches.append(
            and_(Event.customer_visible, Event.account_id == account, Event.person_id.is_distinct_from(own))
        )
    return branches or [false()]


def owners(principal: Principal) -> tuple[UUID | None, UUID | None]:
    """(person, account) whose events a customer may see."""
    return principal.person_id, principal.account_id if principal.sees_account else None


def concerns(principal: Principal, *, person_ids: Collection[UUID], account_ids: Collection[UUID]) -> bool:
    """Whether some of the events visible to customers, of these people and accounts, may be the caller's."""
    own, account = owners(principal)
    return principal.is_staff or own in person_ids or account in account_ids

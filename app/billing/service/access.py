"""Who may see which case and which of the provider's things: one rule each, as conditions of a query.

Staff see everything. Cases: a customer sees those that they asked for or take part in, and those of their
account if they may; the rule of their conversations. Money: what an account pays is the account's, so a
customer sees it only if they may see what is others' of their account, too.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, false, select, true, union
from sqlalchemy.orm import aliased

from app.billing.constants import SUBJECT_TYPE
from app.billing.models import Case
from app.conversations.models import Conversation, Participant
from app.identity.principal import Principal


def cases_of(principal: Principal) -> ColumnElement[bool]:
    """Cases that the caller may see; of a customer as one set of ids, each part from its own index."""
    if principal.is_staff:
        return true()
    case = aliased(Case, name="own")
    entitled: list[Select[Any]] = []
    if principal.person_id is not None:
        takes_part = (
            select(Conversation.subject_id)
            .join(Participant, Participant.conversation_id == Conversation.id)
            .where(Conversation.subject_type == SUBJECT_TYPE, Participant.person_id == principal.person_id)
        )
        entitled += [select(case.id).where(case.requester_id == principal.person_id), takes_part]
    if principal.sees_account and principal.account_id is not None:
        entitled.append(select(case.id).where(case.account_id == principal.account_id))
    return Case.id.in_(union(*entitled)) if entitled else false()


def money_of(principal: Principal, account_id: Any) -> ColumnElement[bool]:
    """Rows whose column ``account_id`` names an account whose money the caller may see."""
    if principal.is_staff:
        return true()
    if not principal.sees_account or principal.account_id is None:
        return false()
    condition: ColumnElement[bool] = account_id == principal.account_id
    return condition


def sees_money_of(principal: Principal, account_id: UUID) -> bool:
    """Whether the caller may see what this account pays."""
    return principal.is_staff or (principal.sees_account and principal.account_id == account_id)

"""Who may see which case and which of the provider's things: one rule each, as conditions of a query.

Staff see everything. Cases: a customer sees those that they asked for or take part in, and those of their
account if they may; the rule of their conversations. Money: what an account pays is the account's, so a
customer sees it only if they may see what is others' of their account, too.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, false, true

from app.billing.constants import SUBJECT_TYPE
from app.billing.models import Case
from app.conversations.service.access import things_of
from app.identity.principal import Principal


def cases_of(principal: Principal) -> ColumnElement[bool]:
    """Cases that the caller may see."""
    return things_of(principal, Case, SUBJECT_TYPE)


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

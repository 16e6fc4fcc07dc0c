"""Who may see which ticket, and what of it: one rule, as conditions of a query.

Staff see everything. A customer sees the tickets that they asked for or take part in, and those of their
account if they may: the rule of their conversations, so that a ticket and what is said on it agree.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement

from app.conversations.service.access import things_of
from app.identity.principal import Principal
from app.technical.constants import SUBJECT_TYPE
from app.technical.models import Ticket

# What customers do not see of a ticket, and of its events.
STAFF_FIELDS = frozenset(
    {
        "tags",
        "custom",
        "signatures",
        "assignee_id",
        "team_id",
        "issue_id",
        "solved_by_id",
        "origin",
        "external_id",
        "reason",
    }
)


def tickets_of(principal: Principal) -> ColumnElement[bool]:
    """Tickets that the caller may see."""
    return things_of(principal, Ticket, SUBJECT_TYPE)

"""Who may see which ticket, and what of it: one rule, as conditions of a query.

Staff see everything. A customer sees the tickets that they asked for or take part in, and those of their
account if they may: the rule of their conversations, so that a ticket and what is said on it agree.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, false, select, true, union
from sqlalchemy.orm import aliased

from app.conversations.models import Conversation, Participant
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
    """Tickets that the caller may see.

    Of a customer as one set of ids: conditions joined by ``or`` would be looked at on every ticket there is.
    """
    if principal.is_staff:
        return true()
    ticket = aliased(Ticket, name="own")
    entitled: list[Select[Any]] = []
    if principal.person_id is not None:
        takes_part = (
            select(Conversation.subject_id)
            .join(Participant, Participant.conversation_id == Conversation.id)
            .where(Conversation.subject_type == SUBJECT_TYPE, Participant.person_id == principal.person_id)
        )
        entitled += [select(ticket.id).where(ticket.requester_id == principal.person_id), takes_part]
    if principal.sees_account and principal.account_id is not None:
        entitled.append(select(ticket.id).where(ticket.account_id == principal.account_id))
    return Ticket.id.in_(union(*entitled)) if entitled else false()

"""Tables of the technical desk, one file a subject.

Rows are locked in the order: team, known issue, tickets by id, person, conversation, SLA subject.
"""

from __future__ import annotations

from app.technical.models.incidents import KnownIssue
from app.technical.models.teams import Team, TeamMember
from app.technical.models.tickets import Merge, Ticket, TicketLink

__all__ = ["KnownIssue", "Merge", "Team", "TeamMember", "Ticket", "TicketLink"]

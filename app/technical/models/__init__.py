"""Tables of the technical desk, one file a subject.

Rows are locked in the order: team, known issue, tickets by id, person, conversation, SLA subject.
"""

from __future__ import annotations

from app.technical.models.imports import TicketImport, TicketImportChunk, TicketImportError
from app.technical.models.incidents import IssueDelivery, IssueUpdate, KnownIssue, Rating
from app.technical.models.organisation import Macro, TicketField, TicketView
from app.technical.models.references import Reference
from app.technical.models.resolutions import Resolution
from app.technical.models.teams import Team, TeamMember
from app.technical.models.tickets import Merge, Ticket, TicketLink

__all__ = [
    "IssueDelivery",
    "IssueUpdate",
    "KnownIssue",
    "Macro",
    "Merge",
    "Rating",
    "Reference",
    "Resolution",
    "Team",
    "TeamMember",
    "Ticket",
    "TicketField",
    "TicketImport",
    "TicketImportChunk",
    "TicketImportError",
    "TicketLink",
    "TicketView",
]

"""Errors of the technical desk."""

from __future__ import annotations

from app.exceptions import ConflictError, InvalidError, NotFoundError, UnprocessableError


class TicketNotFoundError(NotFoundError):
    """There is no such ticket, or the caller may not see it."""

    code = "ticket_not_found"
    title = "Ticket not found"


class InvalidTransitionError(ConflictError):
    """The ticket cannot go from where it stands to there; `allowed` are the places that the caller may."""

    code = "invalid_transition"
    title = "Invalid transition"


class TicketMergedError(ConflictError):
    """The ticket was merged into another: `target_id` is where it goes on."""

    code = "ticket_merged"
    title = "Ticket merged"


class TicketClosedError(ConflictError):
    """A closed ticket does not change any more; a public reply to it opens a follow-up."""

    code = "ticket_closed"
    title = "Ticket closed"


class UnknownRequesterError(UnprocessableError):
    """The requester does not exist, or belongs to another account than the one given."""

    code = "unknown_requester"
    title = "Unknown requester"


class UnknownAssigneeError(UnprocessableError):
    """The assignee is no active member of the staff, or not of the ticket's team."""

    code = "unknown_assignee"
    title = "Unknown assignee"


class UnknownTeamError(UnprocessableError):
    """There is no such team."""

    code = "unknown_team"
    title = "Unknown team"


class UnknownIssueError(UnprocessableError):
    """There is no such known issue."""

    code = "unknown_issue"
    title = "Unknown issue"


class InvalidFieldError(InvalidError):
    """A custom field does not exist, or its value is not one that it takes; `errors` names it."""

    code = "invalid_field"
    title = "Invalid field"

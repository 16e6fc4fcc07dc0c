"""Errors of the technical desk."""

from __future__ import annotations

from app.exceptions import ConflictError, InvalidError, NotFoundError, UnprocessableError


class TicketNotFoundError(NotFoundError):
    """There is no such ticket, or the caller may not see it."""

    code = "ticket_not_found"
    title = "Ticket not found"


class InvalidTransitionError(ConflictError):
    """The ticket cannot go from where it stands to there; `allowed` are the places that the caller may.

    `current` is where it stands; of a merged one `target_id` is where it goes on.
    """

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


class ResolutionNotFoundError(NotFoundError):
    """The ticket has no resolution note: it is not solved, nobody said how, or the note was withdrawn."""

    code = "resolution_not_found"
    title = "Resolution not found"


class UnknownTicketError(UnprocessableError):
    """The other ticket that the request names does not exist."""

    code = "unknown_ticket"
    title = "Unknown ticket"


class InvalidMergeError(UnprocessableError):
    """A ticket cannot be merged into itself."""

    code = "invalid_merge"
    title = "Invalid merge"


class DifferentCustomersError(ConflictError):
    """The tickets are of different customers, who would read each other's messages."""

    code = "different_customers"
    title = "Different customers"


class NotMergedError(ConflictError):
    """The ticket is not merged, or that was undone already."""

    code = "ticket_not_merged"
    title = "Ticket not merged"


class InvalidSplitError(UnprocessableError):
    """These messages cannot become a ticket; `message_ids` are those that are not here or must stay."""

    code = "invalid_split"
    title = "Invalid split"


class InvalidLinkError(UnprocessableError):
    """A ticket is not linked to itself, nor is it its own ancestor."""

    code = "invalid_link"
    title = "Invalid link"


class LinkNotFoundError(NotFoundError):
    """The two tickets are not linked like this."""

    code = "link_not_found"
    title = "Link not found"


class ReferenceNotFoundError(NotFoundError):
    """The ticket has no such reference."""

    code = "reference_not_found"
    title = "Reference not found"


class TooManyLinksError(ConflictError):
    """The ticket has as many links or references as it may have; `maximum`."""

    code = "too_many_links"
    title = "Too many links"


class IssueNotFoundError(NotFoundError):
    """There is no such known issue."""

    code = "issue_not_found"
    title = "Issue not found"


class IssueResolvedError(ConflictError):
    """The known issue is resolved already."""

    code = "issue_resolved"
    title = "Issue resolved"


class RatingNotFoundError(NotFoundError):
    """The ticket has not been rated."""

    code = "rating_not_found"
    title = "Rating not found"


class NotRateableError(ConflictError):
    """A ticket is rated once it is solved, by its requester, for a month."""

    code = "not_rateable"
    title = "Not rateable"


class MissingFieldsError(UnprocessableError):
    """Custom fields must have a value before this; `fields` are the keys of those that have none."""

    code = "missing_fields"
    title = "Missing fields"


class TeamNotFoundError(NotFoundError):
    """There is no such team."""

    code = "team_not_found"
    title = "Team not found"


class TeamExistsError(ConflictError):
    """Another team has this name."""

    code = "team_exists"
    title = "Team exists"


class TeamInUseError(ConflictError):
    """Tickets, macros or views need the team; `tickets`, `macros` and `views` say how many."""

    code = "team_in_use"
    title = "Team in use"


class MemberNotFoundError(NotFoundError):
    """The person is not in the team."""

    code = "member_not_found"
    title = "Member not found"


class NobodyAvailableError(ConflictError):
    """Nobody of the team can take the ticket now: away, at capacity, or without its skills."""

    code = "nobody_available"
    title = "Nobody available"


class FieldNotFoundError(NotFoundError):
    """There is no such custom field."""

    code = "field_not_found"
    title = "Field not found"


class FieldExistsError(ConflictError):
    """Another custom field has this key."""

    code = "field_exists"
    title = "Field exists"


class FieldInUseError(ConflictError):
    """Tickets, macros or views hold values of the field; `tickets`, `macros`, `views` say how many."""

    code = "field_in_use"
    title = "Field in use"


class InvalidDefinitionError(InvalidError):
    """A field, macro or view fits its schema and makes no sense; `errors` names the member."""

    code = "invalid_definition"
    title = "Invalid definition"


class MacroNotFoundError(NotFoundError):
    """There is no such macro, or it is not for the caller."""

    code = "macro_not_found"
    title = "Macro not found"


class UnknownMacroError(UnprocessableError):
    """There is no such macro for the caller."""

    code = "unknown_macro"
    title = "Unknown macro"


class ViewNotFoundError(NotFoundError):
    """There is no such view, or it is not for the caller."""

    code = "view_not_found"
    title = "View not found"


class LimitReachedError(ConflictError):
    """There are as many of these as there may be; `maximum`."""

    code = "technical_limit_reached"
    title = "Limit reached"


class ImportNotFoundError(NotFoundError):
    """There is no such import."""

    code = "import_not_found"
    title = "Import not found"


class ImportOverError(ConflictError):
    """The import is over already; `status` says how it ended."""

    code = "import_over"
    title = "Import over"


class InvalidImportError(UnprocessableError):
    """The upload cannot be imported as it is: empty, neither CSV nor JSON lines, or an unusable mapping."""

    code = "invalid_import"
    title = "Invalid import"

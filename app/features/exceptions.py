"""Errors of the features desk."""

from __future__ import annotations

from app.exceptions import ConflictError, NotFoundError, UnprocessableError


class BoardNotFoundError(NotFoundError):
    """There is no such board, or the caller may not see it."""

    code = "board_not_found"
    title = "Board not found"


class BoardExistsError(ConflictError):
    """Another board has this slug."""

    code = "board_exists"
    title = "Board exists"


class BoardArchivedError(ConflictError):
    """An archived board is read, and nothing on it changes."""

    code = "board_archived"
    title = "Board archived"


class RequestNotFoundError(NotFoundError):
    """There is no such request, or the caller may not see it."""

    code = "request_not_found"
    title = "Request not found"


class RequestMergedError(ConflictError):
    """The request was merged into another one, `target_id`, which is to be changed in its place."""

    code = "request_merged"
    title = "Request merged"


class RequestClosedError(ConflictError):
    """The request is shipped or declined: no votes are taken; `status` says which."""

    code = "request_closed"
    title = "Request closed"


class RequestLockedError(ConflictError):
    """The staff locked the request: customers neither vote nor comment."""

    code = "request_locked"
    title = "Request locked"


class InvalidRequestTransitionError(ConflictError):
    """The request cannot go from where it stands to there; `allowed` are the places that it can go to."""

    code = "invalid_transition"
    title = "Invalid transition"


class UnknownPersonError(UnprocessableError):
    """A person that the request names does not exist, is erased, or may not see the board."""

    code = "unknown_person"
    title = "Unknown person"


class UnknownBoardError(UnprocessableError):
    """A board that the request names does not exist, or the caller may not see it."""

    code = "unknown_board"
    title = "Unknown board"


class UnknownAccountError(UnprocessableError):
    """An account that the request names does not exist."""

    code = "unknown_account"
    title = "Unknown account"


class PersonRequiredError(UnprocessableError):
    """The caller's key belongs to nobody, and only a person can do this."""

    code = "person_required"
    title = "Person required"


class RequestExistsError(ConflictError):
    """The board has a request with this external id."""

    code = "request_exists"
    title = "Request exists"


class LikelyDuplicateError(ConflictError):
    """There is likely such a request already: `candidates` are to be voted for instead."""

    code = "likely_duplicate"
    title = "Likely duplicate"


class InvalidMergeError(UnprocessableError):
    """A request is not merged into itself."""

    code = "invalid_merge"
    title = "Invalid merge"


class NotMergedError(ConflictError):
    """The request is not merged into another one."""

    code = "not_merged"
    title = "Not merged"


class DifferentBoardError(UnprocessableError):
    """The requests are on different boards, whose readers are not the same."""

    code = "different_board"
    title = "Different board"


class GroupTooLargeError(UnprocessableError):
    """Too many requests would be merged into one; `maximum` says how many may be."""

    code = "group_too_large"
    title = "Group too large"


class UnknownCommentError(UnprocessableError):
    """A comment that the request names does not exist, or belongs to another request."""

    code = "unknown_comment"
    title = "Unknown comment"


class UnknownReferenceError(UnprocessableError):
    """Something of another desk that the request names does not exist, or the caller may not see it."""

    code = "unknown_reference"
    title = "Unknown reference"


class CommentNotFoundError(NotFoundError):
    """The request has no such comment, or the caller may not read it."""

    code = "comment_not_found"
    title = "Comment not found"


class CommentErasedError(ConflictError):
    """The comment's words were removed for good."""

    code = "comment_erased"
    title = "Comment erased"


class TooManyCommentsError(ConflictError):
    """A request takes no more than `maximum` comments."""

    code = "too_many_comments"
    title = "Too many comments"


class EmptyCommentError(UnprocessableError):
    """Nothing of the comment can be shown."""

    code = "empty_comment"
    title = "Empty comment"


class NotLinkableError(ConflictError):
    """The ticket or case changes no more, or points to as much as it may; `reason` says which."""

    code = "not_linkable"
    title = "Not linkable"


class QuoteNotFoundError(UnprocessableError):
    """No customer said this sentence in a message that can be read there."""

    code = "quote_not_found"
    title = "Quote not found"


class TooManyQuotesError(ConflictError):
    """A request has no more than `maximum` quotes."""

    code = "too_many_quotes"
    title = "Too many quotes"


class UnknownRequestError(UnprocessableError):
    """A request that the caller names does not exist, or they may not see it."""

    code = "unknown_request"
    title = "Unknown request"


class ReleaseNotFoundError(NotFoundError):
    """There is no such release, or the caller may not see it."""

    code = "release_not_found"
    title = "Release not found"


class ReleaseShippedError(ConflictError):
    """The release has shipped: only its words change any more."""

    code = "release_shipped"
    title = "Release shipped"


class NoticeNotFoundError(NotFoundError):
    """The caller has no such notice."""

    code = "notice_not_found"
    title = "Notice not found"


class ClusterNotFoundError(NotFoundError):
    """There is no such cluster of likely duplicates."""

    code = "cluster_not_found"
    title = "Cluster not found"


class ClusterDecidedError(ConflictError):
    """The cluster is not in the state for that; `status` says in which it is."""

    code = "cluster_decided"
    title = "Cluster decided"

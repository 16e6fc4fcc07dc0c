"""Names and limits of the features desk, and the table of a request's transitions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType

DESK = "features"
SUBJECT_TYPE = "feature_request"
BOARD_TYPE = "feature_board"
RELEASE_TYPE = "feature_release"
CLUSTER_TYPE = "feature_cluster"
RATE_TYPE = "exchange_rate"
NUMBER_PREFIX = "FEA-"
RELEASE_PREFIX = "REL-"

NAME_MAX = 120
SLUG_MAX = 60
TITLE_MAX = 200
BODY_MAX = 20_000
LABEL_MAX = 40
TAGS_MAX = 20
TAG_MAX = 40
ACCOUNTS_MAX = 200  # that one board is for
EXTERNAL_ID_MAX = 255
ITEMS_MAX = 100  # of one call that takes several
COMMENTS_MAX = 1_000  # of one request
QUOTES_MAX = 100  # of one request
QUOTED_MAX = 1_000  # characters of one quote
PROPOSED_QUOTES = 2  # sentences that linking a ticket or case brings along
GROUP_MAX = 200  # requests that are merged into one
SETTLE = timedelta(minutes=5)  # changes of status within it are told once, as one


class BoardVisibility(StrEnum):
    """Who sees a board."""

    public = "public"  # everybody, also without a key
    customers = "customers"  # every customer who has signed in
    accounts = "accounts"  # customers of the accounts that are named
    staff = "staff"


class FeatureStatus(StrEnum):
    """Where a request stands."""

    open = "open"
    under_review = "under_review"
    planned = "planned"
    in_progress = "in_progress"
    shipped = "shipped"
    declined = "declined"


class Origin(StrEnum):
    """How a request came."""

    api = "api"
    imported = "import"
    split_off = "split"  # of another request


class CommentKind(StrEnum):
    """Whom a comment is for; a note is the staff's."""

    public = "public"
    note = "note"


class ReleaseStatus(StrEnum):
    """Whether a release is out."""

    draft = "draft"
    shipped = "shipped"


class NoticeKind(StrEnum):
    """What somebody is told."""

    released = "released"
    status = "status"
    comment = "comment"


class Digest(StrEnum):
    """How often a person's notices are mailed: together, at these times."""

    immediate = "immediate"
    daily = "daily"
    weekly = "weekly"


class ClusterStatus(StrEnum):
    """What became of likely duplicates that were found."""

    open = "open"
    merged = "merged"
    dismissed = "dismissed"


class OnDuplicate(StrEnum):
    """What to do when a new request is likely one that there is already."""

    refuse = "refuse"
    vote = "vote"
    create = "create"


UNFINISHED = frozenset(
    {FeatureStatus.open, FeatureStatus.under_review, FeatureStatus.planned, FeatureStatus.in_progress}
)
CLOSED = frozenset({FeatureStatus.shipped, FeatureStatus.declined})  # no votes any more

# From where to where the staff may move a request. What is not in it is illegal. What shipped was promised
# and is there: it can only be taken back to work, never be declined or unasked.
TRANSITIONS: Mapping[FeatureStatus, frozenset[FeatureStatus]] = MappingProxyType(
    {each: frozenset({*UNFINISHED, *CLOSED}) - {each} for each in UNFINISHED}
    | {
        FeatureStatus.shipped: frozenset({FeatureStatus.in_progress}),
        FeatureStatus.declined: frozenset({FeatureStatus.open, FeatureStatus.under_review}),
    }
)

"""Tables of the features desk."""

from app.features.models.boards import Board, BoardAccount, Merge, Request
from app.features.models.insight import Cluster, ClusterMember, Rate
from app.features.models.releases import (
    Announcement,
    Notice,
    NoticePreference,
    Release,
    ReleaseRequest,
    ReplyDraft,
)
from app.features.models.voices import VOTERS, Comment, Quote, Subscription, Vote

__all__ = [
    "VOTERS",
    "Announcement",
    "Board",
    "BoardAccount",
    "Cluster",
    "ClusterMember",
    "Comment",
    "Merge",
    "Notice",
    "NoticePreference",
    "Quote",
    "Rate",
    "Release",
    "ReleaseRequest",
    "ReplyDraft",
    "Request",
    "Subscription",
    "Vote",
]

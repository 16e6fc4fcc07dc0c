"""Notices as the text of a mail. Pure functions; titles are plain text and stay it."""

from __future__ import annotations

from collections.abc import Sequence

from app.features.constants import NoticeKind
from app.features.schemas.notices import FeatureNoticeView

LINES_MAX = 50  # of one mail


def title(notices: Sequence[FeatureNoticeView]) -> str:
    """The subject of a mail."""
    return line(notices[0]) if len(notices) == 1 else f"{len(notices)} news about what you asked for"


def body(notices: Sequence[FeatureNoticeView]) -> str:
    """The mail itself: a line a notice."""
    lines = [line(each) for each in notices[:LINES_MAX]]
    if len(notices) > LINES_MAX:
        lines.append(f"And {len(notices) - LINES_MAX} more.")
    return "\n\n".join(lines)


def line(notice: FeatureNoticeView) -> str:
    """``FEA-3 Export to Excel: planned``."""
    about = f"{notice.request.number} {notice.request.title}"
    if notice.kind is NoticeKind.released and notice.release is not None:
        release = notice.release
        name = " ".join(filter(None, [release.title, release.label]))
        return f"{about}: shipped with {release.number} {name}"
    if notice.kind is NoticeKind.status:
        return f"{about}: {notice.label}"
    return f"{about}: a new comment"

"""Notices: what people are told, once each; on the web, and by mail as they wish."""

from app.features.service.notices.announcing import TELL_SECONDS, commented, drop, moved, tell_due
from app.features.service.notices.telling import tell

__all__ = ["TELL_SECONDS", "commented", "drop", "moved", "tell", "tell_due"]

"""Providers of the events room."""

from __future__ import annotations

from typing import Any

from litestar import Request

from app.events.feed import Feed

FEED = "event_feed"  # key of the app's state


async def provide_feed(request: Request[Any, Any, Any]) -> Feed:
    """The one feed of this process; it listens only while there are streams, so nobody has to close it."""
    state = request.app.state
    if FEED not in state:
        state[FEED] = Feed(state.database)
    feed: Feed = state[FEED]
    return feed

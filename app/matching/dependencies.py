"""Providers of the matching room."""

from __future__ import annotations

from litestar.datastructures import State

from app.exceptions import UnavailableError
from app.matching.service.matcher import Matcher


async def provide_matcher(state: State) -> Matcher:
    """The comparer, made when the process started."""
    matcher = state.get("matcher")
    if not isinstance(matcher, Matcher):
        raise UnavailableError("The server is still starting.", retry_after=2)
    return matcher

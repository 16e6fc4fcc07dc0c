"""Providers of the technical desk."""

from __future__ import annotations

from litestar.datastructures import State

from app.technical.desk import Desk


async def provide_desk(state: State) -> Desk:
    """What the desk's rules need of other rooms, as ``main`` tied it."""
    desk: Desk = state.technical
    return desk

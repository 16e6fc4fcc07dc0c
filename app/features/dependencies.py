"""Providers of the features desk."""

from __future__ import annotations

from litestar.datastructures import State

from app.features.desk import Desk


async def provide_features(state: State) -> Desk:
    """What the desk's rules need of other rooms, as ``main`` tied it."""
    desk: Desk = state.features
    return desk

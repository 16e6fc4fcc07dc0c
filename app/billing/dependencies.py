"""Providers of the billing desk."""

from __future__ import annotations

from litestar.datastructures import State

from app.billing.desk import Desk


async def provide_billing(state: State) -> Desk:
    """What the desk's rules need of other rooms, as ``main`` tied it."""
    desk: Desk = state.billing
    return desk

"""Providers of the privacy room."""

from __future__ import annotations

from dataclasses import dataclass

from litestar.datastructures import State

from app.knowledge import PersonalData


@dataclass(frozen=True, slots=True)
class Rooms:
    """The rooms that hold something about people, as the app was put together."""

    all: tuple[PersonalData, ...]


async def provide_rooms(state: State) -> Rooms:
    """Registered as ``rooms``."""
    return Rooms(state.personal_data)

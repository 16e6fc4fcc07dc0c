"""A desk's things, as other rooms name them, and who may call."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias
from uuid import UUID

Principal: TypeAlias = Any  # app.identity.Principal: identity stands above this package


class Thread(Protocol):
    """A desk's thing that messages belong to: a ticket, a case. ``app.events.Subject`` is one."""

    @property
    def type(self) -> str:
        """``ticket``."""
        ...

    @property
    def id(self) -> UUID:
        """Its id."""
        ...

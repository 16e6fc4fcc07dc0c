"""Who is calling: the one thing that every rule about access asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from app.identity.constants import PrincipalKind, Role

if TYPE_CHECKING:
    from app.identity.models import Person


@dataclass(frozen=True, kw_only=True, slots=True)
class Principal:
    """A caller that proved itself; ``name`` is the person's, or else the key's."""

    kind: PrincipalKind
    role: Role
    person_id: UUID | None
    account_id: UUID | None
    name: str
    key_id: UUID | None = None
    sees_account: bool = False  # a customer's: also what belongs to others of their account

    @property
    def is_staff(self) -> bool:
        """Agents and up."""
        return self.role >= Role.agent

    @property
    def audiences(self) -> tuple[str, ...]:
        """Audiences whose documents the caller may read; no account's own by being staff alone."""
        if self.is_staff:
            return ("public", "customers", "staff")
        if self.account_id is None:
            return ("public", "customers")
        return ("public", "customers", f"account:{self.account_id}")

    def at_least(self, role: Role) -> bool:
        """Whether the caller's role is ``role`` or above it."""
        return self.role >= role


SYSTEM = Principal(kind=PrincipalKind.system, role=Role.admin, person_id=None, account_id=None, name="system")


def speaking_as(person: Person) -> Principal:
    """A member of the staff whom an address stands for: no proof, as a key or token would be."""
    return Principal(
        kind=PrincipalKind.system,
        role=Role.agent,
        person_id=person.id,
        account_id=person.account_id,
        name=person.name,
    )

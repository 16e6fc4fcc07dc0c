"""What teams, fields, macros and views have in common: versions, and an event for every change."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.events import Subject
from app.exceptions import NotFoundError
from app.identity.principal import Principal
from app.models import Base
from app.preconditions import ANYTHING, Expected
from app.technical.constants import Visibility
from app.technical.exceptions import LimitReachedError

Row = TypeVar("Row", bound=Base)

FRESH = {"populate_existing": True}
CLAIM = text("select pg_advisory_xact_lock(hashtext('tridesk:configured'), hashtext(:name))")


@dataclass(frozen=True, kw_only=True, slots=True)
class Configured(Generic[Row]):
    """A kind of row. ``name``: of the subject and its events; ``told``: columns that events tell of.

    Of those in ``hashed`` events have the SHA-256 alone. ``maximum``: how many there may be.
    """

    model: type[Row]
    name: str
    told: tuple[str, ...]
    missing: type[NotFoundError]
    maximum: int
    hashed: Collection[str] = field(default=())

    async def get(self, session: AsyncSession, row_id: UUID, *conditions: ColumnElement[bool]) -> Row:
        """The row, if it fits the conditions; ``missing``."""
        return await self._one(session, row_id, conditions, for_update=False)

    async def lock(
        self,
        session: AsyncSession,
        row_id: UUID,
        *conditions: ColumnElement[bool],
        expected: Expected = ANYTHING,
    ) -> Row:
        """``get``, kept from changing and from being referred to anew; ``VersionMismatchError``."""
        row = await self._one(session, row_id, conditions, for_update=True)
        version: int = getattr(row, "version")  # noqa: B009 - every model here has it, their base has not
        expected.check(version)
        return row

    async def create(
        self, session: AsyncSession, values: Mapping[str, Any], *, actor: Principal
    ) -> Row | None:
        """Insert; None when a unique column has the value already. ``LimitReachedError``."""
        await session.execute(CLAIM, {"name": self.name})
        if (await session.scalar(select(func.count()).select_from(self.model)) or 0) >= self.maximum:
            raise LimitReachedError(f"There may be {self.maximum} of these.", maximum=self.maximum)
        statement = insert(self.model).values(dict(values)).on_conflict_do_nothing().returning(self.model)
        row = (await session.scalars(statement)).one_or_none()
        if row is not None:
            await self._record(session, "created", row, actor=actor, after=self._state(row, self.told))
        return row

    async def change(
        self, session: AsyncSession, row: Row, values: Mapping[str, Any], *, actor: Principal
    ) -> Row:
        """Change a locked row by one version; what is the same already changes nothing."""
        changed = [name for name, value in values.items() if getattr(row, name) != value]
        if not changed:
            return row
        before = self._state(row, changed)
        row = await self.bump(session, row, **{name: values[name] for name in changed})
        after = self._state(row, changed)
        await self._record(session, "updated", row, actor=actor, before=before, after=after)
        return row

    async def bump(self, session: AsyncSession, row: Row, **values: Any) -> Row:
        """One version further, without an event."""
        model: Any = self.model
        identity: UUID = getattr(row, "id")  # noqa: B009 - likewise
        statement = update(model).where(model.id == identity)
        moved = statement.values(version=model.version + 1, updated_at=func.now(), **values)
        found: Row = (await session.scalars(moved.returning(model), execution_options=FRESH)).one()
        return found

    async def delete(self, session: AsyncSession, row: Row, *, actor: Principal) -> None:
        """Delete a locked row."""
        await self._record(session, "deleted", row, actor=actor, before=self._state(row, self.told))
        await session.delete(row)
        await session.flush()

    async def _one(
        self, session: AsyncSession, row_id: UUID, conditions: Collection[Any], *, for_update: bool
    ) -> Row:
        model: Any = self.model
        statement = select(model).where(model.id == row_id, *conditions)
        if for_update:
            statement = statement.with_for_update(of=model)
        found: Row | None = await session.scalar(statement, execution_options=FRESH)
        if found is None:
            raise self.missing(f"There is no such {self.name.rpartition('_')[2]}.")
        return found

    def _state(self, row: Row, names: Collection[str]) -> dict[str, Any]:
        state = {name: getattr(row, name) for name in names}
        for name in set(self.hashed) & set(state):
            state[name] = hashlib.sha256(str(state[name]).encode()).hexdigest()
        return state

    async def _record(self, session: AsyncSession, what: str, row: Row, **told: Any) -> None:
        """What is one's own is told to the staff, and not kept for the admins."""
        identity: UUID = getattr(row, "id")  # noqa: B009 - likewise
        audit = getattr(row, "visibility", None) != Visibility.personal
        subject = Subject(self.name, identity)
        await events.record(session, f"{self.name}.{what}", subject=subject, audit=audit, **told)

"""The rules of idempotency: one effect, in one transaction with the answer that is given to every retry.

Within one transaction (what the request's ``session`` does by itself): ``begin``, the effect, ``store``.

In two transactions, around a call to somebody else::

    async with database.session() as session:
        await idempotency.begin(session, keyed)
        refund = await reserve(session, ...)
        await idempotency.store(session, keyed, status=202, content=pending_view)
    await provider.refund(...)  # killed here: a retry is told "pending"
    async with database.session() as session:
        await settle(session, refund)
        await idempotency.store(session, keyed, status=201, content=settled_view)

Work that costs before there is anything to store: ``reserve``. ``keyed`` is None for a request without a key;
then all of these do nothing.
"""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import anyio
import msgspec
from sqlalchemy import Row, bindparam, delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.exceptions import PermissionDeniedError
from app.idempotency.constants import KEPT, PURGE_BATCH, RESERVED, RETRY_AFTER, STORED_HEADERS, Withheld
from app.idempotency.exceptions import (
    KeyInFlightError,
    KeyReusedError,
    Replay,
    ReplayErasedError,
    ReplayHasSecretError,
)
from app.idempotency.keyed import KeyedRequest
from app.idempotency.models import IdempotencyRecord as Record
from app.identity.constants import Role

if TYPE_CHECKING:
    from app.database import Database

logger = logging.getLogger(__name__)

JSON = {"content-type": "application/json"}
LOCK = text("select pg_try_advisory_xact_lock(:number)")
SECONDS_LEFT = func.extract("epoch", Record.reserved_until - func.clock_timestamp())
MENTIONS = func.position(func.convert_to(bindparam("mention"), "UTF8").op("in")(Record.body)) > 0


async def begin(session: AsyncSession, keyed: KeyedRequest | None) -> None:
    """Claim the key until the end of the session's transaction, before any effect.

    ``Replay`` when it was answered before. Errors: ``KeyInFlightError``, ``KeyReusedError``,
    ``PermissionDeniedError`` for a caller who has lost the role or the account of the first time,
    ``ReplayHasSecretError``, ``ReplayErasedError``.
    """
    if keyed is None:
        return
    # The lock first, in a statement of its own: the next one sees what the lock's last holder committed.
    if not await session.scalar(LOCK, {"number": keyed.lock}):
        raise KeyInFlightError("The first request is still being answered.", retry_after=RETRY_AFTER)
    record = (await session.execute(_find(keyed))).one_or_none()
    if record is None:
        return
    if record.fingerprint != keyed.fingerprint:
        raise KeyReusedError("This key was used with another path, query or body; take a new one.")
    if record.status is not None:
        _answer_again(record, keyed)
    if record.seconds_left > 0:
        raise KeyInFlightError(
            "The first request is still being answered.",
            retry_after=min(math.ceil(record.seconds_left), 5 * RETRY_AFTER),
        )
    await session.execute(delete(Record).where(Record.id == record.id))  # whoever reserved it was killed


def _find(keyed: KeyedRequest) -> Any:
    return select(
        Record.id,
        Record.fingerprint,
        Record.role,
        Record.account_id,
        Record.status,
        Record.headers,
        Record.body,
        Record.made_id,
        Record.withheld,
        SECONDS_LEFT.label("seconds_left"),
    ).where(Record.principal_id == keyed.principal_id, Record.route == keyed.route, Record.key == keyed.key)


def _answer_again(record: Row[Any], keyed: KeyedRequest) -> None:
    """A guard has let the caller pass; what the service checked then must hold now as well."""
    principal = keyed.principal
    if not principal.at_least(Role(record.role)) or principal.account_id != record.account_id:
        raise PermissionDeniedError("The first request was made with rights that you no longer have.")
    if record.withheld == Withheld.secret:
        raise ReplayHasSecretError(
            "This was done before; its answer held a secret, which is not stored.", id=record.made_id
        )
    if record.withheld == Withheld.erased:
        raise ReplayErasedError("This was done before, for a person who has been erased since.")
    raise Replay(
        status=record.status, headers=record.headers, body=record.body or b"", made_id=record.made_id
    )


async def store(
    session: AsyncSession,
    keyed: KeyedRequest | None,
    *,
    status: int,
    content: object = None,
    headers: Mapping[str, str] | None = None,
    made_id: UUID | str | None = None,
) -> None:
    """Keep the answer in the transaction of the effect; the same key again replaces it.

    ``content``: encoded bytes, or what the handler returns. An answer with a secret is kept without its body.
    """
    if keyed is None:
        return
    values = _answer(keyed, status=status, content=content, headers=headers or {}, made_id=made_id)
    scope = {
        "principal_id": keyed.principal_id,
        "route": keyed.route,
        "key": keyed.key,
        "fingerprint": keyed.fingerprint,
        "role": keyed.principal.role.value,
        "account_id": keyed.principal.account_id,
    }
    await session.execute(
        insert(Record)
        .values(scope | values)
        .on_conflict_do_update(index_elements=["principal_id", "route", "key"], set_=values)
    )


def _answer(
    keyed: KeyedRequest,
    *,
    status: int,
    content: object,
    headers: Mapping[str, str],
    made_id: UUID | str | None,
) -> dict[str, Any]:
    made = made_id or getattr(content, "id", None)
    body = content if isinstance(content, bytes) or content is None else msgspec.json.encode(content)
    if not isinstance(content, bytes) and content is not None:
        headers = JSON | dict(headers)
    return {
        "status": status,
        "headers": {name.lower(): headers[name] for name in headers if name.lower() in STORED_HEADERS},
        "body": None if keyed.returns_secret else body,
        "made_id": None if made is None else str(made),
        "withheld": Withheld.secret.value if keyed.returns_secret else None,
        "reserved_until": None,
    }


@dataclass(slots=True)
class Reservation:
    """A key that is held while its answer is being made, over several transactions."""

    keyed: KeyedRequest | None
    id: UUID | None = None
    stored: bool = False

    async def store(
        self,
        session: AsyncSession,
        *,
        status: int,
        content: object = None,
        headers: Mapping[str, str] | None = None,
        made_id: UUID | str | None = None,
    ) -> None:
        """Keep the answer in the transaction of the effect; see ``store``.

        ``KeyInFlightError``, which rolls the effect back, when the reservation ran out and was taken over.
        """
        if self.keyed is None:
            return
        values = _answer(self.keyed, status=status, content=content, headers=headers or {}, made_id=made_id)
        kept = await session.scalar(
            update(Record).where(Record.id == self.id).values(values).returning(Record.id)
        )
        if kept is None:
            raise KeyInFlightError("A retry has taken this request over.", retry_after=RETRY_AFTER)
        self.stored = True


@asynccontextmanager
async def reserve(database: Database, keyed: KeyedRequest | None) -> AsyncIterator[Reservation]:
    """Hold the key while something is made that costs, without holding a connection.

    Errors as those of ``begin``. Leaving without ``Reservation.store`` lets the key go; a process that was
    killed in between blocks it for ``RESERVED``.
    """
    reservation = Reservation(keyed)
    if keyed is not None:
        async with database.session() as session:
            await begin(session, keyed)
            reservation.id = await session.scalar(
                insert(Record)
                .values(
                    principal_id=keyed.principal_id,
                    route=keyed.route,
                    key=keyed.key,
                    fingerprint=keyed.fingerprint,
                    role=keyed.principal.role.value,
                    account_id=keyed.principal.account_id,
                    reserved_until=func.clock_timestamp() + RESERVED,
                )
                .returning(Record.id)
            )
    try:
        yield reservation
    except BaseException:
        await _release(database, reservation)
        raise
    if not reservation.stored:
        await _release(database, reservation)


async def _release(database: Database, reservation: Reservation) -> None:
    """Let go what has no answer; one that was stored and committed stays, whatever was raised after it."""
    if reservation.id is None:
        return
    try:
        with anyio.CancelScope(shield=True):
            async with database.session() as session:
                await session.execute(
                    delete(Record).where(Record.id == reservation.id, Record.status.is_(None))
                )
    except Exception as error:  # noqa: BLE001 - the request's own error matters more; the row runs out
        logger.warning("a reservation was not released: %s", type(error).__name__)


async def purge(database: Database) -> int:
    """Delete what is older than ``KEPT``, a transaction a batch; how many rows. For a schedule."""
    total = 0
    old = select(Record.id).where(Record.created_at < func.now() - KEPT).limit(PURGE_BATCH)
    while True:
        async with database.session() as session:
            gone = await session.execute(delete(Record).where(Record.id.in_(old)).returning(Record.id))
            count = len(gone.all())
        total += count
        if count < PURGE_BATCH:
            return total


async def forget(session: AsyncSession, person_id: UUID) -> int:
    """Empty the stored answers that were given to a person or mention their id, for their erasure.

    The rows stay, so that a late retry does nothing anew. Returns how many were emptied.
    """
    emptied = await session.execute(
        update(Record)
        .where(Record.body.is_not(None), or_(Record.principal_id == person_id, MENTIONS))
        .values(body=None, headers={}, withheld=Withheld.erased.value)
        .returning(Record.id)
        .execution_options(synchronize_session=False),
        {"mention": str(person_id)},
    )
    return len(emptied.all())

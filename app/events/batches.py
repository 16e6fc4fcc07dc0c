"""Many events at once, for imports."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.events.recording import ANNOUNCED, Subject
from app.logs import request_id

if TYPE_CHECKING:  # identity records events itself
    from app.identity.principal import Principal

# In the order given: an identity column counts them as they are read.
INSERT_ALL = text("""
insert into event (type, subject_type, subject_id, actor_kind, actor_person_id, actor_key_id, actor_role,
                   account_id, person_id, customer_visible, staff_fields, after, request_id)
select r.type, r.subject_type, r.subject_id, :actor_kind, :actor_person_id, :actor_key_id, :actor_role,
       r.account_id, r.person_id, r.customer_visible, r.staff_fields, r.after, :request_id
from jsonb_to_recordset(CAST(:rows AS jsonb)) as r(
    place integer, type text, subject_type text, subject_id uuid, account_id uuid, person_id uuid,
    customer_visible boolean, staff_fields text[], after jsonb)
order by r.place
""")


@dataclass(frozen=True, kw_only=True, slots=True)
class NewEvent:
    """An event of something that was made; the members as ``record`` takes them."""

    type: str
    subject: Subject
    after: Mapping[str, Any]
    account_id: UUID | None = None
    person_id: UUID | None = None
    customer_visible: bool = False
    staff_fields: Collection[str] = ()


async def record_all(session: AsyncSession, new: Sequence[NewEvent], *, actor: Principal) -> None:
    """``record`` for many, in one statement: the same rows, and listeners are woken once."""
    if not new:
        return
    rows = [
        {
            "place": place,
            "type": each.type,
            "subject_type": each.subject.type,
            "subject_id": each.subject.id,
            "account_id": each.account_id,
            "person_id": each.person_id,
            "customer_visible": each.customer_visible,
            "staff_fields": sorted(each.staff_fields),
            "after": each.after,
        }
        for place, each in enumerate(new)
    ]
    values = {
        "rows": msgspec.json.encode(rows).decode(),
        "actor_kind": str(actor.kind),
        "actor_person_id": actor.person_id,
        "actor_key_id": actor.key_id,
        "actor_role": str(actor.role),
        "request_id": request_id.get() or None,
    }
    await session.execute(INSERT_ALL, values)
    if ANNOUNCED not in session.info:
        connection = await session.connection()
        session.info[ANNOUNCED] = (await connection.get_raw_connection()).dbapi_connection

"""Taking mail in: stored as it came, once, with the job that works through it."""

from __future__ import annotations

import asyncio

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.jobs import enqueue
from app.mail.constants import RECEIVE_JOB
from app.mail.models import InboundMail
from app.mail.reading import identify
from app.mail.storing import storable


async def take_in(session: AsyncSession, raw: bytes) -> tuple[InboundMail, bool]:
    """(the mail's row, whether it was there before).

    The same mail again, be it a provider's retry or a copy by another way, is the row of the first: the
    unique fingerprint makes parallel posts wait for each other. Another mail that borrows a Message-ID is
    another row.
    """
    identity = await asyncio.to_thread(identify, raw)
    statement = (
        insert(InboundMail)
        .values(
            fingerprint=identity.fingerprint,
            message_id=identity.message_id,
            raw=await asyncio.to_thread(storable, raw),
            size=len(raw),
        )
        .on_conflict_do_nothing(index_elements=["fingerprint"])
        .returning(InboundMail)
    )
    made = (await session.scalars(statement)).one_or_none()
    if made is not None:
        await enqueue(session, RECEIVE_JOB, {"id": made.id})
        return made, False
    known = select(InboundMail).where(InboundMail.fingerprint == identity.fingerprint)
    return (await session.scalars(known)).one(), True

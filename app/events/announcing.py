"""What readers of the stream are told and nobody keeps: who looks at a case now. Not the log, and not in it.

A notice goes by NOTIFY in the caller's transaction to every server's feed, and from there to the streams of
the staff that are open by then. Who opens one later asks for the present state.

Unlike the log's wake-up, which goes after the commit, it is part of the transaction: nobody would look for a
notice that was lost. Such commits wait for each other, so this is for what happens now and then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.events.constants import NOTICES
from app.events.recording import Subject

SEND = text("select pg_notify(:channel, :payload)")
PAYLOAD_MAX = 7_000  # bytes; Postgres takes 8,000


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """``kind`` is the frame's event name, ``data`` its JSON as it is sent."""

    kind: str
    subject_type: str
    subject_id: UUID
    data: msgspec.Raw


async def announce(
    session: AsyncSession, kind: str, *, subject: Subject, data: msgspec.Struct | Mapping[str, Any]
) -> None:
    """Tell the staff's streams that ask for this kind and subject, once the caller's transaction commits.

    ``ValueError`` when the JSON is longer than 7,000 bytes.
    """
    encoded = msgspec.Raw(msgspec.json.encode(data))
    notice = Notice(kind=kind, subject_type=subject.type, subject_id=subject.id, data=encoded)
    payload = msgspec.json.encode(notice)
    if len(payload) > PAYLOAD_MAX:
        raise ValueError("a notice is at most 7,000 bytes of JSON")
    await session.execute(SEND, {"channel": NOTICES, "payload": payload.decode()})

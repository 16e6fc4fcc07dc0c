"""Routes of the events room."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Router, get
from litestar.di import NamedDependency, Provide
from litestar.params import HeaderParameter, QueryParameter
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import Database
from app.events import service
from app.events.constants import FILTERS_MAX
from app.events.dependencies import provide_feed
from app.events.exceptions import TooManyStreamsError
from app.events.feed import Feed
from app.events.models import Event
from app.events.schemas import EventView, PresenceChange, StreamFailure
from app.events.service.audit import AuditFilters
from app.events.streaming import Tail, TailResponse
from app.events.utils import START, Place, read_filters, refuse, show
from app.identity.constants import Role
from app.identity.guards import require
from app.identity.middleware import bearer_credential
from app.identity.principal import Principal
from app.openapi import documented
from app.pagination import Cursor, Limit, Page

AnyRequest = Request[Any, Any, Any]

Subjects = Annotated[
    list[str] | None,
    QueryParameter(
        name="subject",
        max_items=FILTERS_MAX,
        description="What the event is about: `ticket:` and its id. Several: any of them.",
    ),
]
Types = Annotated[
    list[str] | None,
    QueryParameter(
        name="type",
        max_items=FILTERS_MAX,
        description="The event's type: `ticket.created`, or `ticket.*` for all of that kind. Several: any.",
    ),
]
After = Annotated[
    UUID | None,
    QueryParameter(
        name="after", description="Id of the last event seen; all zeros: from the first event on."
    ),
]
LastEventId = Annotated[
    str | None,
    HeaderParameter(
        name="Last-Event-ID",
        max_length=64,
        description="Id of the last event received, as browsers send it on their return; wins over `after`.",
    ),
]
Actor = Annotated[
    UUID | None, QueryParameter(name="actor", description="Id of the person or of the API key that did it.")
]
Since = Annotated[datetime | None, QueryParameter(name="since", description="At this time or later.")]
Until = Annotated[datetime | None, QueryParameter(name="until", description="Before this time.")]
RequestId = Annotated[
    str | None,
    QueryParameter(
        name="request_id", max_length=64, description="`X-Request-ID` of the request that did it."
    ),
]


@get("/events", operation_id="list_events", summary="List events")
async def list_events(
    *,
    session: NamedDependency[AsyncSession],
    principal: NamedDependency[Principal],
    subjects: Subjects = None,
    types: Types = None,
    after: After = None,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> Page[EventView]:
    """What happened, oldest first, as far as the caller may see it.

    To follow the log, ask again with the id of the last event seen as `after`: no event is ever missed, none
    comes twice. `next_cursor` is null when nothing follows now. An event appears once all transactions that
    began before its own have ended, which takes milliseconds.
    """
    filters = read_filters(subjects, types)
    if after is not None and cursor is not None:
        refuse("cursor", "Give either `after` or `cursor`")
    place = START
    if after is not None:
        place = await service.place_of(session, after, principal=principal, field="after")
    elif cursor is not None:
        place = await _place_of_cursor(session, cursor, principal=principal, settled=True)
    rows = await service.read_events(
        session, principal=principal, filters=filters, after=place, limit=limit + 1
    )
    return _page(rows, limit=limit, principal=principal)


@get(
    "/events/stream",
    operation_id="stream_events",
    summary="Follow events",
    opt=documented(
        raises=[TooManyStreamsError],
        events={"<type>": EventView, "presence": PresenceChange, "error": StreamFailure},
    ),
)
async def stream_events(
    *,
    request: AnyRequest,
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    feed: NamedDependency[Feed],
    subjects: Subjects = None,
    types: Types = None,
    after: After = None,
    last_event_id: LastEventId = None,
) -> TailResponse:
    """The same events as they happen, as server-sent events: `id` is the event's, `event` its type.

    Without `after` and `Last-Event-ID` it begins with what happens from now on. Comment lines come while
    nothing happens. It ends with an `error` event when the key or token is no longer good, and without one
    when the server restarts: come back with the last id received. At most ten streams a caller.

    The staff also get `presence`, which the log does not keep and which has no id: who has opened a case
    (`viewing`), is writing a reply (`replying`) or has closed it (`left`). Both filters apply to it.
    """
    tail = Tail(
        database=database,
        feed=feed,
        principal=principal,
        credential=bearer_credential(request.scope),
        filters=read_filters(subjects, types),
        is_draining=_draining(request),
    )
    if last_event_id is not None:
        await tail.start(_event_id(last_event_id, field="Last-Event-ID"), field="Last-Event-ID")
    else:
        await tail.start(after, field="after")
    return TailResponse(tail, feed, principal)


@get("/audit", operation_id="list_audit", summary="List the audit log", guards=[require(Role.admin)])
async def list_audit(
    *,
    session: NamedDependency[AsyncSession],
    principal: NamedDependency[Principal],
    subjects: Subjects = None,
    types: Types = None,
    actor: Actor = None,
    since: Since = None,
    until: Until = None,
    by_request: RequestId = None,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> Page[EventView]:
    """Changes of configuration, secrets and people's data, with who made them, newest first. Admins."""
    filters = AuditFilters(
        events=read_filters(subjects, types),
        actor=actor,
        since=_aware(since, field="since"),
        until=_aware(until, field="until"),
        request_id=by_request,
    )
    before = None
    if cursor is not None:
        before = await _place_of_cursor(session, cursor, principal=principal, settled=False)
    rows = await service.read_audit(session, filters=filters, before=before, limit=limit + 1)
    return _page(rows, limit=limit, principal=principal)


def _page(rows: Sequence[Event], *, limit: int, principal: Principal) -> Page[EventView]:
    shown = rows[:limit]
    following = str(shown[-1].id) if len(rows) > limit else None
    return Page(items=[show(each, principal) for each in shown], next_cursor=following)


async def _place_of_cursor(
    session: AsyncSession, cursor: str, *, principal: Principal, settled: bool
) -> Place:
    return await service.place_of(
        session, _event_id(cursor, field="cursor"), principal=principal, field="cursor", settled=settled
    )


def _event_id(text: str, *, field: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        refuse(field, "Not the id of an event")


def _aware(moment: datetime | None, *, field: str) -> datetime | None:
    if moment is not None and moment.tzinfo is None:
        refuse(field, "Needs a time zone")
    return moment


def _draining(request: AnyRequest) -> Callable[[], bool]:
    state = request.app.state
    return lambda: bool(state.get("draining"))


router = Router(
    path="/v1",
    route_handlers=[list_events, stream_events, list_audit],
    dependencies={"feed": Provide(provide_feed)},
    tags=["events"],
)

"""A clock's rules: what it has consumed, when it falls due, what stops and moves it.

A clock is the list of the times it ran, each in one calendar, and a target. Everything else follows: the
deadline is the moment at which the open seconds of those times reach the target. So a pause keeps the
business time that remains, a new target counts what was consumed already, a new calendar counts only from its
day on, and a target below what was consumed falls due in the past, at the very second that was reached then.

Moments are seconds since 1970. One that comes before the clock's last change is taken as of that change.
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from app.sla.constants import ClockState
from app.sla.engine.timeline import Timeline


class CalendarRef(Struct, frozen=True, array_like=True):
    """A calendar as it was at one of its versions."""

    id: UUID
    version: int


class Span(Struct, frozen=True, array_like=True):
    """A time in which the clock ran; ``end`` None: it still does.

    ``calendar`` None: no policy had matched by then. The first calendar that comes counts it.
    """

    start: int
    end: int | None
    calendar: CalendarRef | None


Timelines = Mapping[CalendarRef, Timeline]


class Clock(Struct, frozen=True, kw_only=True):
    """``target``: business seconds; None: it counts and never falls due."""

    started: int
    spans: tuple[Span, ...]
    state: ClockState
    target: int | None = None
    calendar: CalendarRef | None = None

    @classmethod
    def start(
        cls, at: int, *, target: int | None, calendar: CalendarRef | None, paused: bool = False
    ) -> Clock:
        """A new clock; a paused one has consumed nothing until it is resumed."""
        return cls(
            started=at,
            spans=() if paused else (Span(at, None, calendar),),
            state=ClockState.paused if paused else ClockState.running,
            target=target,
            calendar=calendar,
        )

    @property
    def finished(self) -> bool:
        """Met or canceled: nothing moves it any more."""
        return self.state in {ClockState.met, ClockState.canceled}

    @property
    def last_change(self) -> int:
        """When it last started or stopped running."""
        if not self.spans:
            return self.started
        last = self.spans[-1]
        return last.start if last.end is None else last.end

    def pause(self, at: int) -> Clock:
        """Stop counting; a clock that is paused stays as it is, so pending → on hold begins no new pause."""
        return self._stopped(at, ClockState.paused) if self.state is ClockState.running else self

    def resume(self, at: int) -> Clock:
        """Count on; a clock that runs or is finished stays as it is."""
        if self.state is not ClockState.paused:
            return self
        span = Span(max(at, self.last_change), None, self.calendar)
        return replace(self, spans=(*self.spans, span), state=ClockState.running)

    def meet(self, at: int) -> Clock:
        """What it waited for has come."""
        return self if self.finished else self._stopped(at, ClockState.met)

    def cancel(self, at: int) -> Clock:
        """What it waited for need not come."""
        return self if self.finished else self._stopped(at, ClockState.canceled)

    def retarget(self, target: int | None) -> Clock:
        """Another target for the same time consumed."""
        return self if self.finished else replace(self, target=target)

    def switch(self, calendar: CalendarRef | None, at: int) -> Clock:
        """Count by another calendar from now on; without one (no policy matches) the last counts on."""
        if self.finished or calendar is None or calendar == self.calendar:
            return self
        spans = tuple(replace(each, calendar=each.calendar or calendar) for each in self.spans)
        if self.calendar is not None and self.state is ClockState.running:
            at = max(at, spans[-1].start)
            spans = (*_closed(spans, at), Span(at, None, calendar))
        return replace(self, spans=spans, calendar=calendar)

    def consumed(self, at: int, timelines: Timelines) -> int:
        """Business seconds counted until then; 0 while there is no calendar."""
        return sum(
            timelines[span.calendar].between(span.start, at if span.end is None else min(span.end, at))
            for span in self.spans
            if span.calendar is not None
        )

    def reaches(self, seconds: int, timelines: Timelines) -> int | None:
        """When so many seconds were or, if nothing changes, will be consumed; None: not as it stands."""
        left = seconds
        for span in self.spans:
            if span.calendar is None:
                return None
            line = timelines[span.calendar]
            if span.end is None:
                return line.add(span.start, left)
            passed = line.between(span.start, span.end)
            if passed >= left:
                return line.add(span.start, left)
            left -= passed
        return None

    def deadline(self, timelines: Timelines) -> int | None:
        """When the target is reached; None without one, and while a pause keeps the rest of it."""
        return None if self.target is None else self.reaches(self.target, timelines)

    def warns(self, percent: int, timelines: Timelines) -> int | None:
        """When so much of the target, rounded up to the second, is consumed."""
        if self.target is None:
            return None
        return self.reaches(-(-self.target * percent // 100), timelines)

    def _stopped(self, at: int, state: ClockState) -> Clock:
        return replace(self, spans=_closed(self.spans, at), state=state)


def _closed(spans: tuple[Span, ...], at: int) -> tuple[Span, ...]:
    """Ended at that moment; a time of no length leaves no trace."""
    if not spans or spans[-1].end is not None:
        return spans
    last = spans[-1]
    if at <= last.start:
        return spans[:-1]
    return (*spans[:-1], replace(last, end=at))

"""The arithmetic of business time: no database, no HTTP.

**Time.** Business time is elapsed real time, in whole seconds, during which the wall clock of the calendar's
zone shows an open time. An hour that daylight saving skips does not exist and counts nothing; an hour that
comes twice counts twice; so with zones that skip or repeat half an hour or a whole date. Moments are
integers, seconds since 1970 in UTC: fractions of a second are cut off before counting, so times between three
moments always add up.

**Open times** belong to local dates. An interval that goes over midnight is two: what lies after midnight
belongs to the next date. A holiday closes its own date, 00:00 to 24:00, and nothing else. An override
replaces everything else on its date. Intervals may overlap or touch: they are a set of seconds.

**Deadlines.** The deadline of *n* seconds from *s* is the earliest moment by which *n* seconds have passed:
at the end of a day 17:00, not the next morning's 09:00; of 0 seconds *s* itself, open or not. It is kept by
what happens at that second or before.
"""

from app.sla.engine.arithmetic import (
    add,
    business_seconds,
    from_second,
    intervals,
    to_second,
)
from app.sla.engine.calendar import Calendar, Hours, day_hours, weekly
from app.sla.engine.clock import CalendarRef, Clock, Span
from app.sla.engine.public_holidays import public_holidays, supported_countries, supported_subdivisions
from app.sla.engine.timeline import Timeline, timeline

__all__ = [
    "Calendar",
    "CalendarRef",
    "Clock",
    "Hours",
    "Span",
    "Timeline",
    "add",
    "business_seconds",
    "day_hours",
    "from_second",
    "intervals",
    "public_holidays",
    "supported_countries",
    "supported_subdivisions",
    "timeline",
    "to_second",
    "weekly",
]

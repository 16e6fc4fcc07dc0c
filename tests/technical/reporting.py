"""Tickets in all states, laid down as the desk would have left them, and their metrics counted by hand."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.conversations.models import Conversation, Message
from app.events import Subject
from app.identity.principal import SYSTEM
from app.sla.models import SlaCalendarVersion, SlaClock
from app.technical.models import Rating, Team, Ticket

MARCH = datetime(2024, 3, 4, tzinfo=UTC)  # a Monday
PERIOD = (MARCH, MARCH + timedelta(days=28))
SPAN = timedelta(days=56)
UNFINISHED = ("new", "open", "pending", "on_hold")
HOURS = {"open": 9, "close": 17}


@dataclass
class Made:
    """One ticket, its whole story told."""

    ticket: Ticket
    moves: list[tuple[datetime, str]]
    reopenings: list[datetime] = field(default_factory=list)
    replies: int = 0
    rating: tuple[int, datetime] | None = None
    clocks: list[SlaClock] = field(default_factory=list)

    def status_at(self, at: datetime) -> str | None:
        """Where it stood just before; None when there was none."""
        return next((status for moment, status in reversed(self.moves) if moment < at), None)


class Maker:
    """Makes tickets in a session; everything about them is drawn from ``seed``."""

    def __init__(
        self,
        session: AsyncSession,
        seed: int,
        *,
        teams: Sequence[Team],
        people: Sequence[UUID],
        tags: Sequence[str],
    ) -> None:
        self.session, self.chance = session, random.Random(seed)
        self.teams, self.people, self.tags = teams, people, tags
        self.calendar_id = uuid4()

    async def calendar(self) -> None:
        """Open from 9 to 17 UTC from Monday to Friday."""
        days = ("monday", "tuesday", "wednesday", "thursday", "friday")
        rules = {
            "zone": "UTC",
            "hours": [{"weekday": day, "opens": "09:00", "closes": "17:00"} for day in days],
        }
        self.session.add(SlaCalendarVersion(calendar_id=self.calendar_id, version=1, rules=rules))
        await self.session.flush()

    async def make(self, product: str) -> Made:
        chance = self.chance
        created = self.moment(MARCH - timedelta(days=20), SPAN)
        moves, reopenings = [(created, "new")], []
        first = solved = closed = None
        at = created
        for status in self.story():
            at = self.moment(at, timedelta(days=8))
            if status == "solved":
                first, solved = first or at, at
            elif moves[-1][1] == "solved" and status == "open":
                reopenings.append(at)
                solved = None
            elif status == "closed":
                closed = at
            moves.append((at, status))
        ticket = Ticket(
            subject="Reported",
            description="It stops.",
            status=moves[-1][1],
            priority=chance.choice(["low", "normal", "high", "urgent"]),
            product=product,
            tags=sorted(chance.sample(self.tags, chance.randint(0, len(self.tags)))),
            team_id=chance.choice([None, *(each.id for each in self.teams)]),
            assignee_id=chance.choice([None, *self.people]),
            source="api",
            reopens=len(reopenings),
            created_at=created,
            status_changed_at=at,
            first_solved_at=first,
            solved_at=solved,
            closed_at=closed,
        )
        self.session.add(ticket)
        await self.session.flush()
        made = Made(ticket, moves, reopenings)
        await self.tell(made)
        await self.talk(made)
        await self.count(made)
        return made

    def story(self) -> list[str]:
        """What comes after ``new``: pauses, up to three solves, perhaps an end."""
        chance, story = self.chance, []
        for _ in range(chance.choice([0, 1, 1, 2, 3])):
            story += [*(["open"] if story else []), chance.choice(["open", "pending", "on_hold"]), "solved"]
        story = [each for index, each in enumerate(story) if index == 0 or each != story[index - 1]]
        if story and chance.random() < 0.5:
            story.append("closed")
        elif chance.random() < 0.5:
            story.append("open")
        return story

    async def tell(self, made: Made) -> None:
        """The events of its moves, as ``transitions.move`` records them."""
        subject, reopens = Subject("ticket", made.ticket.id), 0
        for (_, old), (at, status) in zip(made.moves, made.moves[1:], strict=False):
            before: dict[str, Any] = {"status": old}
            after: dict[str, Any] = {"status": status, "status_changed_at": at}
            if at in made.reopenings:
                before["reopens"], after["reopens"] = reopens, reopens + 1
                reopens += 1
            await events.record(
                self.session, "ticket.moved", subject=subject, actor=SYSTEM, before=before, after=after
            )

    async def talk(self, made: Made) -> None:
        chance, ticket = self.chance, made.ticket
        room = Conversation(subject_type="ticket", subject_id=ticket.id)
        self.session.add(room)
        await self.session.flush()
        spoken = chance.choices(["reply", "note", "machine", "customer"], k=chance.randint(0, 4))
        for number, each in enumerate(spoken, 1):
            self.session.add(
                Message(
                    conversation_id=room.id,
                    number=number,
                    kind="note" if each == "note" else "public",
                    speaker="customer" if each == "customer" else "staff",
                    automatic=each == "machine",
                    channel="api",
                    author_role="agent",
                    body_format="text",
                    **dict.fromkeys(("body_raw", "body_html", "body_text"), "x"),
                )
            )
        made.replies = spoken.count("reply")
        if ticket.solved_at is not None and chance.random() < 0.6:
            made.rating = (chance.randint(1, 5), ticket.solved_at)
            self.session.add(Rating(ticket_id=ticket.id, score=made.rating[0], solved_at=ticket.solved_at))
        await self.session.flush()

    async def count(self, made: Made) -> None:
        """Clocks: some met, some canceled, some late, some without a target or a calendar."""
        chance = self.chance
        for kind in ("first_response", "next_reply", "resolution"):
            state = chance.choice(["met", "met", "met", "canceled", "running"])
            begun = self.moment(made.ticket.created_at, timedelta(days=3))
            paused = self.moment(begun, timedelta(days=4))
            resumed = self.moment(paused, timedelta(days=3))
            ended = self.moment(resumed, timedelta(days=5))
            counted = chance.random() < 0.8
            calendar = [str(self.calendar_id), 1] if counted else None
            late = chance.random() < 0.3
            clock = SlaClock(
                subject_type="ticket",
                subject_id=made.ticket.id,
                kind=kind,
                cycle=1,
                state=state,
                calendar_id=self.calendar_id if counted else None,
                calendar_version=1 if counted else None,
                target_seconds=chance.choice([None, 3600]) if not late else 3600,
                spans=[
                    [seconds(begun), seconds(paused), calendar],
                    [seconds(resumed), seconds(ended), calendar],
                ],
                started_at=begun,
                breached_at=paused if late else None,
                detected_at=paused if late else None,
                ended_at=None if state == "running" else ended,
            )
            self.session.add(clock)
            made.clocks.append(clock)
        await self.session.flush()

    def moment(self, after: datetime, within: timedelta) -> datetime:
        """A whole second behind ``after``."""
        return after + timedelta(seconds=self.chance.randint(1, int(within.total_seconds())))


def seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def opened(start: int, end: int) -> int:
    """Seconds from 9 to 17 UTC on weekdays, counted a day at a time."""
    day, total = start // 86_400, 0
    for number in range(day, end // 86_400 + 1):
        if (number + 3) % 7 < 5:  # 1 January 1970 was a Thursday
            opens, closes = number * 86_400 + HOURS["open"] * 3600, number * 86_400 + HOURS["close"] * 3600
            total += max(0, min(end, closes) - max(start, opens))
    return total


def ranked(values: Sequence[int], share: float) -> int | None:
    """The least value that at least that share of the values does not exceed, by looking at each."""
    enough = [each for each in values if sum(other <= each for other in values) >= share * len(values)]
    return min(enough, default=None)


def by_hand(made: Sequence[Made], start: datetime, finish: datetime) -> dict[str, Any]:
    """What the metrics of these tickets must be."""

    def within(moment: datetime | None) -> bool:
        return moment is not None and start <= moment < finish

    def tickets(holds: Callable[[Made], bool]) -> int:
        return sum(1 for each in made if holds(each))

    made = [each for each in made if each.ticket.status != "merged"]
    solved = [each for each in made if within(each.ticket.first_solved_at)]
    one_touch = [each for each in solved if not each.reopenings and each.replies == 1]
    scores = [each.rating[0] for each in made if each.rating and within(each.rating[1])]
    return {
        "created": tickets(lambda each: within(each.ticket.created_at)),
        "solved": len(solved),
        "closed": tickets(lambda each: within(each.ticket.closed_at)),
        "reopened": sum(within(at) for each in made for at in each.reopenings),
        "reopen_rate": share(sum(1 for each in solved if each.reopenings), len(solved)),
        "one_touch": len(one_touch),
        "one_touch_share": share(len(one_touch), len(solved)),
        "backlog": tickets(lambda each: each.status_at(finish) in UNFINISHED),
        "unfinished_now": {
            status: sum(1 for each in made if each.ticket.status == status) for status in UNFINISHED
        },
        "first_reply": _durations(made, "first_response", within),
        "resolution": _durations(made, "resolution", within),
        "breaches": {
            kind: _breaches(made, kind, within) for kind in ("first_response", "next_reply", "resolution")
        },
        "csat": {
            "count": len(scores),
            "average": share(sum(scores), len(scores)),
            "good": sum(each > 3 for each in scores),
            "good_share": share(sum(each > 3 for each in scores), len(scores)),
        },
    }


def share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None


def _durations(made: Sequence[Made], kind: str, within: Callable[[datetime | None], bool]) -> dict[str, Any]:
    values = [
        sum(opened(start, end) for start, end, _ in clock.spans)
        for each in made
        for clock in each.clocks
        if clock.kind == kind and clock.state == "met" and clock.calendar_id and within(clock.ended_at)
    ]
    found = {f"p{percent}_seconds": ranked(values, percent / 100) for percent in (50, 90, 95)}
    return {"count": len(values)} | found


def _breaches(made: Sequence[Made], kind: str, within: Callable[[datetime | None], bool]) -> dict[str, Any]:
    clocks = [clock for each in made for clock in each.clocks if clock.kind == kind]
    breached = sum(1 for each in clocks if within(each.breached_at))
    kept = sum(
        1
        for each in clocks
        if each.breached_at is None
        and each.state == "met"
        and each.target_seconds is not None
        and within(each.ended_at)
    )
    return {"decided": breached + kept, "breached": breached, "rate": share(breached, breached + kept)}

"""What is to be done about each row, with everything looked up and nothing written.

A dry run ends here: it finds what an import would, but for a ticket that comes twice in different batches of
its file, which it takes for two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid5

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.conversations.constants import BodyFormat, Speaker
from app.conversations.rendering import from_html, render, to_text
from app.conversations.service.importing import PastMessage, known_messages
from app.identity.constants import Role
from app.identity.models import Person
from app.identity.principal import SYSTEM
from app.redaction import redact
from app.technical.constants import Status, UnknownPeople
from app.technical.exceptions import InvalidFieldError
from app.technical.importing.incoming import FieldProblem, IncomingTicket, PersonRef, RowRefusedError
from app.technical.models import Ticket
from app.technical.service import customs
from app.technical.service.changes import EXCLUSIVE, FRESH
from app.technical.service.importing.comparing import changed_here, differences, new_columns
from app.technical.service.importing.people import Directory, NobodyError

NAMESPACE = UUID("6f1f5a2e-6d0b-5c1b-9a53-0f6a7b0f3f21")  # of ids made of an import's origin and its ids
DESCRIPTION_MAX = 64 * 1024  # characters
LEFT = "Changed here since it was imported: its fields are left as they are"


class Action(StrEnum):
    """What becomes of a row."""

    create = "created"
    update = "updated"
    nothing = "unchanged"


@dataclass(slots=True)
class Planned:
    """A row and what is to be done. ``values``: columns, all of a new ticket's or those that change."""

    incoming: IncomingTicket
    ticket_id: UUID
    action: Action
    values: dict[str, Any] = field(default_factory=dict)
    ticket: Ticket | None = None  # the locked one that is here
    messages: list[PastMessage] = field(default_factory=list)
    requester_email: str | None = None


@dataclass(slots=True)
class Planner:
    """Plans the rows of a batch. ``writes``: who is unknown is made. ``notes``: (field, warning) → lines."""

    directory: Directory
    unknown_people: UnknownPeople
    now: datetime
    writes: bool
    notes: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    _here: dict[UUID, Ticket] = field(default_factory=dict)
    _touched: set[UUID] = field(default_factory=set)
    _known: set[UUID] = field(default_factory=set)

    async def load(self, session: AsyncSession, incoming: Sequence[IncomingTicket]) -> None:
        """Lock the tickets that are here, and look up what the rows name."""
        ids = [self.ticket_id(each) for each in incoming]
        statement = select(Ticket).where(Ticket.id.in_(ids)).order_by(Ticket.id)
        locking = statement.with_for_update(of=Ticket, **EXCLUSIVE) if self.writes else statement
        for ticket in await session.scalars(locking, execution_options=FRESH):
            self._here[ticket.id] = ticket
        if self._here:
            self._touched = await changed_here(session, list(self._here))
            messages = [
                self._message_id(each, message.key)
                for each in incoming
                if self.ticket_id(each) in self._here
                for message in each.messages
            ]
            self._known = await known_messages(session, messages)
        await self.directory.load(session, incoming)
        if self.writes and self.unknown_people is UnknownPeople.create:
            await self._make_requesters(session, incoming)

    async def _make_requesters(self, session: AsyncSession, incoming: Sequence[IncomingTicket]) -> None:
        """At once, as far as that can be done; what remains is found out row by row."""
        wanted = []
        for each in incoming:
            if not each.requester or self.directory.person(each.requester) is not None:
                continue
            try:
                wanted.append((each.requester, await self._account(session, each)))
            except RowRefusedError:
                continue
        await self.directory.make_customers(session, wanted)

    def ticket_id(self, incoming: IncomingTicket) -> UUID:
        """The id that a ticket of this origin gets, whenever it comes: also after it was erased."""
        return uuid5(NAMESPACE, f"{self.directory.origin}\0{incoming.external_id}")

    async def plan(self, session: AsyncSession, incoming: IncomingTicket) -> Planned:
        """What to do about one row; ``RowRefusedError``."""
        for name, warning in incoming.notes:
            self._note(incoming, name, warning)
        ticket_id = self.ticket_id(incoming)
        here = self._here.get(ticket_id)
        if here is not None and here.external_id is None:
            self._note(incoming, "external_id", "Was erased here: left alone")
            return Planned(incoming, ticket_id, Action.nothing, ticket=here)
        if here is not None and here.status == Status.merged:
            self._note(incoming, "external_id", "Was merged here: left alone")
            return Planned(incoming, ticket_id, Action.nothing, ticket=here)
        planned = Planned(incoming, ticket_id, Action.create, ticket=here)
        values = self._told(incoming) | await self._referred(session, planned)
        if incoming.custom:
            values["custom"] = await self._customs(session, incoming)
        planned.messages = await self._messages(session, planned, values)
        if here is None:
            planned.values = new_columns(incoming, values)
        else:
            planned.values = differences(incoming, here, values)
            if planned.values and here.id in self._touched:
                self._note(incoming, "external_id", LEFT)
                planned.values = {}
            planned.action = Action.update if planned.values or planned.messages else Action.nothing
        return planned

    def _told(self, incoming: IncomingTicket) -> dict[str, Any]:
        """Columns that the row speaks of, without card numbers."""
        values = {
            name: value for name, value in incoming.values.items() if name not in {"updated_at", "created_at"}
        }
        first = incoming.messages[0] if incoming.messages else None
        if first is not None and first.format is BodyFormat.html and values.get("description") == first.body:
            values["description"] = to_text(from_html(first.body))
        values["description"] = redact(values.get("description") or "")[:DESCRIPTION_MAX]
        for name in ("subject", "environment"):
            if values.get(name):
                values[name] = redact(values[name])
        return values

    async def _referred(self, session: AsyncSession, planned: Planned) -> dict[str, Any]:
        incoming = planned.incoming
        found: dict[str, Any] = {"account_id": await self._account(session, incoming)}
        requester = await self._customer(
            session, incoming, incoming.requester, found["account_id"], "requester"
        )
        found["requester_id"] = requester.id if requester is not None else None
        if requester is None:
            planned.requester_email = incoming.requester.email
        elif requester.account_id is not None and requester.account_id != found["account_id"]:
            if found["account_id"] is not None:
                self._note(incoming, "account", "The requester is of another account here, which is kept")
            found["account_id"] = requester.account_id
        found["assignee_id"] = self._assignee(incoming)
        team_id = self.directory.team(incoming.team)
        if incoming.team and team_id is None:
            self._note(incoming, "team", f"There is no team {incoming.team}")
        return found | {"team_id": team_id}

    def _assignee(self, incoming: IncomingTicket) -> UUID | None:
        if not incoming.assignee:
            return None
        person = self.directory.staff(incoming.assignee)
        if person is None:
            self._note(incoming, "assignee", f"Nobody of the staff is {_named(incoming.assignee)}")
        return person.id if person is not None else None

    async def _account(self, session: AsyncSession, incoming: IncomingTicket) -> UUID | None:
        if not incoming.account:
            return None
        known = self.directory.account(incoming.account)
        if known is not None:
            return known.id
        if self.unknown_people is UnknownPeople.fail:
            raise RowRefusedError(FieldProblem("account", "There is no such account"))
        if self.unknown_people is UnknownPeople.skip:
            self._note(incoming, "account", "Unknown accounts are left out")
        elif self.writes:
            try:
                return (await self.directory.make_account(session, incoming.account)).id
            except NobodyError as error:
                raise RowRefusedError(FieldProblem("account", str(error))) from None
        return None

    async def _customer(
        self,
        session: AsyncSession,
        incoming: IncomingTicket,
        ref: PersonRef,
        account_id: UUID | None,
        name: str,
    ) -> Person | None:
        """Who asked, or wrote as a customer; made if unknown and wanted."""
        if not ref or (known := self.directory.person(ref)) is not None:
            return known if ref else None
        if self.unknown_people is UnknownPeople.fail:
            raise RowRefusedError(FieldProblem(name, f"Nobody here is {_named(ref)}"))
        if self.unknown_people is UnknownPeople.skip:
            self._note(incoming, name, "Unknown people are left out; their addresses stay")
        elif self.writes:
            try:
                return await self.directory.make_customer(session, ref, account_id=account_id)
            except NobodyError as error:
                raise RowRefusedError(FieldProblem(name, str(error))) from None
        return None

    async def _messages(
        self, session: AsyncSession, planned: Planned, values: Mapping[str, Any]
    ) -> list[PastMessage]:
        """Those that are not here, with whoever wrote them."""
        incoming, made = planned.incoming, []
        for each in incoming.messages:
            identity = self._message_id(incoming, each.key)
            if identity in self._known:
                continue
            author = each.author or (incoming.requester if each.speaker is Speaker.customer else PersonRef())
            speaker = self._speaker(incoming, author, each.speaker)
            person = None
            if author.is_same(incoming.requester) and values["requester_id"] is not None:
                person_id = values["requester_id"]
            else:
                person = await self._author(session, incoming, author, speaker, values["account_id"])
                person_id = person.id if person is not None else None
            made.append(
                PastMessage(
                    id=identity,
                    body=each.rendered or render(each.body, each.format),
                    kind=each.kind,
                    speaker=speaker,
                    created_at=each.created_at,
                    author_person_id=person_id,
                    author_email=author.email,
                )
            )
        return made

    def _speaker(self, incoming: IncomingTicket, author: PersonRef, told: Speaker | None) -> Speaker:
        """As told; or else the requester and known customers are customers, and everybody else is staff."""
        if told is not None:
            return told
        if author and author.is_same(incoming.requester):
            return Speaker.customer
        known = self.directory.person(author) if author else None
        return Speaker.customer if known is not None and known.role == Role.customer else Speaker.staff

    async def _author(
        self,
        session: AsyncSession,
        incoming: IncomingTicket,
        author: PersonRef,
        speaker: Speaker,
        account_id: UUID | None,
    ) -> Person | None:
        if not author or speaker is Speaker.machine:
            return None
        if speaker is Speaker.customer:
            return await self._customer(session, incoming, author, account_id, "messages.author")
        person = self.directory.staff(author)
        if person is None:
            self._note(incoming, "messages.author", f"Nobody of the staff is {_named(author)}")
        return person

    async def _customs(self, session: AsyncSession, incoming: IncomingTicket) -> dict[str, Any]:
        """Values of the fields that there are; the others are noted."""
        given = dict(incoming.custom)
        try:
            return _present(await customs.normalised(session, given, actor=SYSTEM))
        except InvalidFieldError:
            kept: dict[str, Any] = {}
        for key, value in given.items():
            try:
                kept |= await self._custom(session, key, value)
            except InvalidFieldError as error:
                self._note(incoming, f"custom.{key}", str(error.extra["errors"][0]["message"]))
        return _present(kept)

    async def _custom(self, session: AsyncSession, key: str, value: Any) -> dict[str, Any]:
        """One value; a text that does not fit may be a number or a truth, as CSV has them."""
        try:
            return await customs.normalised(session, {key: value}, actor=SYSTEM)
        except InvalidFieldError:
            if not isinstance(value, str):
                raise
            try:
                read = msgspec.json.decode(value.lower())
            except msgspec.DecodeError:
                read = [each.strip() for each in value.split(",")]
            return await customs.normalised(session, {key: read}, actor=SYSTEM)

    def _message_id(self, incoming: IncomingTicket, key: str) -> UUID:
        return uuid5(NAMESPACE, f"{self.directory.origin}\0{incoming.external_id}\0{key}")

    def _note(self, incoming: IncomingTicket, name: str, warning: str) -> None:
        self.notes.setdefault((name, warning), []).append(incoming.line)


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _named(ref: PersonRef) -> str:
    return ref.email or ref.name or f"the one with the id {ref.id or ref.external_id}"

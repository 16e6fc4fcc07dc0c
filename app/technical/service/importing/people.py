"""Who and what the rows of a batch name: people, accounts and teams, looked up together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.exceptions import TrideskError
from app.identity import service as identity
from app.identity.constants import Role
from app.identity.models import Account, Person
from app.identity.principal import SYSTEM
from app.identity.service.newcomers import Newcomer, make_customers
from app.technical.importing.incoming import AccountRef, IncomingTicket, PersonRef
from app.technical.models import Team


class NobodyError(Exception):
    """Why somebody cannot be made here."""


@dataclass(slots=True)
class Directory:
    """What is known of whom the rows of one system name; asked anew for each batch."""

    origin: str
    _emails: dict[str, list[Person]] = field(default_factory=dict)
    _external: dict[str, Person] = field(default_factory=dict)
    _ids: dict[UUID, Person] = field(default_factory=dict)
    _names: dict[str, list[Person]] = field(default_factory=dict)
    _accounts: dict[str, Account] = field(default_factory=dict)
    _account_names: dict[str, Account] = field(default_factory=dict)
    _teams: dict[str, UUID] = field(default_factory=dict)

    async def load(self, session: AsyncSession, tickets: Sequence[IncomingTicket]) -> None:
        """Look up everybody whom these tickets and their messages name."""
        refs = {
            ref
            for ticket in tickets
            for ref in (ticket.requester, ticket.assignee, *(each.author for each in ticket.messages))
            if ref
        }
        accounts = {ticket.account for ticket in tickets if ticket.account}
        await self._load_people(session, refs)
        await self._load_accounts(session, accounts)
        names = {ticket.team.lower() for ticket in tickets if ticket.team}
        if names:
            found = await session.execute(
                select(func.lower(Team.name), Team.id).where(func.lower(Team.name).in_(names))
            )
            self._teams = {row[0]: row[1] for row in found}

    def person(self, ref: PersonRef) -> Person | None:
        """Whoever it is: by the host app's id, by the id that we made of theirs, by address."""
        for key in (ref.external_id, self._ours(ref.id)):
            if key is not None and key in self._external:
                return self._external[key]
        own = _as_uuid(ref.id) if ref.id is not None else None
        if own is not None and own in self._ids:
            return self._ids[own]
        found = self._emails.get(ref.email or "", [])
        return min(found, key=lambda each: (not each.active, each.created_at, each.id), default=None)

    def staff(self, ref: PersonRef) -> Person | None:
        """An active member of the staff, also by their name if only one has it."""
        known = self.person(ref)
        candidates = [known] if known is not None else []
        candidates += self._emails.get(ref.email or "", [])
        candidates = [each for each in candidates if each.active and each.role > Role.customer]
        if candidates:
            return candidates[0]
        named = self._names.get((ref.name or "").lower(), [])
        return named[0] if len(named) == 1 else None

    def account(self, ref: AccountRef) -> Account | None:
        """By the host app's id, by the id that we made of theirs, by name."""
        for key in (ref.external_id, self._ours(ref.id), ref.id):
            if key is not None and key in self._accounts:
                return self._accounts[key]
        return self._account_names.get((ref.name or "").lower())

    def team(self, name: str | None) -> UUID | None:
        """A team by its name, whatever the case."""
        return self._teams.get((name or "").lower())

    async def make_account(self, session: AsyncSession, ref: AccountRef) -> Account:
        """A new account, known as the host app's id says, or else as the other system's."""
        key = ref.external_id or self._ours(ref.id or ref.name)
        if key is None:
            raise NobodyError("Has neither an id nor a name")
        try:
            made = await identity.upsert_account(session, key, ref.name or key, actor=SYSTEM)
        except TrideskError as error:
            raise NobodyError(error.detail) from None
        self._keep_account(made)
        return made

    async def make_customers(
        self, session: AsyncSession, refs: Sequence[tuple[PersonRef, UUID | None]]
    ) -> None:
        """Those of them whom nobody knows and who can be made, with their accounts, in some statements."""
        new: dict[str, Newcomer] = {}
        for ref, account_id in refs:
            key = ref.external_id or self._ours(ref.id)
            handle, name = key or ref.email, ref.name or ref.email or key
            if handle is None or name is None or self.person(ref) is not None:
                continue
            newcomer = Newcomer(name=name, external_id=key, email=ref.email, account_id=account_id)
            if ref.email not in {each.email for each in new.values() if each.email}:
                new.setdefault(handle, newcomer)
        for person in await make_customers(session, list(new.values()), actor=SYSTEM):
            self._keep_person(person)

    async def make_customer(
        self, session: AsyncSession, ref: PersonRef, *, account_id: UUID | None
    ) -> Person:
        """A new customer, likewise. ``NobodyError``: erased, or without a usable name or address."""
        key = ref.external_id or self._ours(ref.id)
        name = ref.name or ref.email or key
        if name is None or (key is None and ref.email is None):
            raise NobodyError("Has neither an e-mail address nor an id")
        try:
            if key is not None:
                made = await identity.upsert_person(
                    session, key, name=name, email=ref.email, account_id=account_id, role=Role.customer
                )
            else:
                made = await identity.create_person(
                    session, principal=SYSTEM, name=name, email=ref.email, account_id=account_id
                )
        except TrideskError as error:
            raise NobodyError(error.detail) from None
        self._keep_person(made)
        return made

    def _ours(self, theirs: str | None) -> str | None:
        return f"{self.origin}:{theirs}"[:200] if theirs is not None else None

    async def _load_people(self, session: AsyncSession, refs: Iterable[PersonRef]) -> None:
        refs = list(refs)
        keys = {ref.external_id for ref in refs} | {self._ours(ref.id) for ref in refs}
        ids = {_as_uuid(ref.id) for ref in refs if ref.id is not None}
        emails = {ref.email for ref in refs}
        names = {ref.name.lower() for ref in refs if ref.name and ref.email is None}
        conditions: list[ColumnElement[bool]] = [
            Person.external_id.in_(keys - {None}),
            Person.id.in_(ids - {None}),
            func.lower(Person.email).in_(emails - {None}),
        ]
        if names:
            by_name = func.lower(Person.name).in_(names)
            conditions.append(and_(by_name, Person.role != Role.customer, Person.active))
        found = await session.scalars(
            select(Person).where(Person.erased_at.is_(None), or_(*conditions)).order_by(Person.id),
            execution_options={"populate_existing": True},
        )
        for person in found:
            self._keep_person(person)

    async def _load_accounts(self, session: AsyncSession, refs: Iterable[AccountRef]) -> None:
        refs = list(refs)
        if not refs:
            return
        keys = {key for ref in refs for key in (ref.external_id, self._ours(ref.id), ref.id)}
        keys |= {self._ours(ref.name) for ref in refs}
        names = {ref.name.lower() for ref in refs if ref.name}
        ids = {_as_uuid(ref.id) for ref in refs if ref.id is not None}
        found = await session.scalars(
            select(Account)
            .where(
                or_(
                    Account.external_id.in_(keys - {None}),
                    Account.id.in_(ids - {None}),
                    func.lower(Account.name).in_(names),
                )
            )
            .order_by(Account.created_at.desc(), Account.id.desc())
        )
        for account in found:
            self._keep_account(account)

    def _keep_person(self, person: Person) -> None:
        self._ids[person.id] = person
        if person.external_id is not None:
            self._external[person.external_id] = person
        if person.email is not None and person not in self._emails.setdefault(person.email.lower(), []):
            self._emails[person.email.lower()].append(person)
        if person.role > Role.customer and person.active:
            named = self._names.setdefault(person.name.lower(), [])
            if person not in named:
                named.append(person)

    def _keep_account(self, account: Account) -> None:
        self._accounts[account.external_id] = self._accounts[str(account.id)] = account
        self._account_names[account.name.lower()] = account


def _as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text) if len(text) == 36 else None
    except ValueError:
        return None

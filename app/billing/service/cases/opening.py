"""Cases: opened and changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from msgspec import UNSET
from sqlalchemy import func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app import conversations, matching, sla
from app.billing.constants import DESK, CaseKind, CaseSource
from app.billing.desk import Desk
from app.billing.models import Case
from app.billing.service.cases import notifying
from app.billing.service.cases.changes import (
    FRESH,
    change,
    lock_open,
    record,
    state_of,
    subject_of,
)
from app.billing.service.cases.references import THINGS, referred
from app.conversations import Posted
from app.conversations.constants import BodyFormat, ParticipantRole
from app.conversations.models import Conversation
from app.exceptions import PermissionDeniedError
from app.identity.principal import SYSTEM, Principal
from app.matching import Entry
from app.preconditions import ANYTHING, Expected
from app.redaction import redact

FOR_STAFF = ("priority", "tags", "requester_id", "account_id", "assignee_id", "dispute_id", "issue_id")
AUDIENCE = ("staff",)
INDEXED = frozenset({"subject", "description"})


@dataclass(frozen=True, slots=True)
class Opened:
    """A new case, and its first message, if it was opened with one."""

    case: Case
    posted: Posted | None


async def create(
    session: AsyncSession,
    desk: Desk,
    *,
    actor: Principal,
    description: str,
    format: BodyFormat = BodyFormat.markdown,  # noqa: A002 - the field's name in the API
    attachments: Sequence[UUID] = (),
    **given: Any,
) -> Case:
    """Open a case whose first message is its description; ``given``: the members of a ``BillingCaseCreate``.

    Errors: ``PermissionDeniedError`` when a customer sets what is the staff's, ``UnknownReferenceError``, and
    those of a message.
    """
    values = _owned(actor, {name: value for name, value in given.items() if value not in (None, [])})
    requester_id = values.get("requester_id")
    message = {
        "body": description,
        "body_format": format,
        "attachments": attachments,
        "on_behalf_of": requester_id if requester_id != actor.person_id else None,
    }
    values |= {"description": description, "source": CaseSource.api}
    return await open_case(session, desk, values, actor=actor, message=message)


async def open_case(
    session: AsyncSession,
    desk: Desk | None,
    values: Mapping[str, Any],
    *,
    actor: Principal = SYSTEM,
    message: Mapping[str, Any] | None = None,
) -> Case:
    """Insert a case with its conversation, clocks and likeness. ``message``: the first one, as
    ``conversations.post`` takes it; None for what nobody wrote. ``desk``: None sends no mail."""
    columns = await referred(session, values, principal=actor)
    opened = await insert_case(session, columns, actor=actor, message=message)
    if opened.posted is not None and desk is not None:
        await notifying.replied(session, desk, opened.case, opened.posted)
    return opened.case


async def insert_case(
    session: AsyncSession,
    values: Mapping[str, Any],
    *,
    actor: Principal,
    message: Mapping[str, Any] | None,
) -> Opened:
    """Insert a case whose references were checked, without mail; see ``open_case``."""
    columns = _cleaned(values)
    case = (await session.scalars(insert(Case).values(columns).returning(Case))).one()
    await record(session, "billing_case.created", case, actor=actor, after=state_of(case))
    conversation = await conversations.open_conversation(
        session,
        subject_of(case.id),
        actor=actor,
        account_id=case.account_id,
        requester_id=case.requester_id,
    )
    if case.assignee_id is not None:
        await _follow_assignee(session, conversation, case, None, actor=actor)
    posted = None
    if message is not None:
        if message.get("sender_email") is not None and case.requester_id is None:
            await conversations.participants.add(
                session,
                conversation,
                actor=actor,
                role=ParticipantRole.requester,
                email=message["sender_email"],
            )
        posted = await conversations.post(session, conversation, author=actor, **message)
        case = await note_waiting(session, case, posted.conversation)
    await sla.apply(session, subject_of(case.id), attributes_of(case), at=datetime.now(UTC), actor=actor)
    await index(session, case)
    return Opened(case, posted)


async def update_case(
    session: AsyncSession,
    case_id: UUID,
    *,
    actor: Principal,
    expected: Expected = ANYTHING,
    **given: Any,
) -> Case:
    """Change what is given; members that are UNSET stay. Errors: ``CaseNotFoundError``, ``CaseClosedError``,
    ``VersionMismatchError``, ``UnknownReferenceError``."""
    case = await lock_open(session, case_id, principal=actor)
    expected.check(case.version)
    values = {name: value for name, value in given.items() if value is not UNSET}
    values = await _owned_anew(session, case, values, actor=actor)
    values = _cleaned(values)
    before, assignee_id = attributes_of(case), case.assignee_id
    changed_fields = {name for name, value in values.items() if getattr(case, name) != value}
    case = await change(session, case, values, actor=actor)
    if attributes_of(case) != before:
        await sla.apply(session, subject_of(case.id), attributes_of(case), at=datetime.now(UTC), actor=actor)
    if changed_fields & INDEXED:
        await index(session, case)
    if changed_fields & {"assignee_id", "requester_id", "account_id"}:
        await _follow_people(session, case, changed_fields, assignee_id, actor=actor)
    return case


def attributes_of(case: Case) -> sla.Attributes:
    """What the SLA policies' conditions look at."""
    return sla.Attributes(
        desk=DESK, priority=case.priority, account_id=case.account_id, tags=tuple(case.tags)
    )


async def note_waiting(session: AsyncSession, case: Case, conversation: Conversation) -> Case:
    """Keep on the case since when its customer waits; no change that its version counts."""
    statement = (
        update(Case)
        .where(Case.id == case.id)
        .values(waiting_since=conversation.unanswered_since, updated_at=func.now())
        .returning(Case)
    )
    return (await session.scalars(statement, execution_options=FRESH)).one()


async def index(session: AsyncSession, case: Case) -> None:
    """Let a locked case be found by likeness, by the staff."""
    entry = Entry(
        subject=subject_of(case.id),
        title=case.subject,
        body=case.description,
        audience=AUDIENCE,
        created_at=case.created_at,
        signatures=(),
    )
    await matching.index_many(session, [entry])


async def _owned_anew(
    session: AsyncSession, case: Case, values: dict[str, Any], *, actor: Principal
) -> dict[str, Any]:
    """``values`` with the account that they bring; what the case points to must be that account's, too."""
    held = {"account_id": case.account_id, "requester_id": case.requester_id}
    if values.get("requester_id") is not None and "account_id" not in values:
        held["account_id"] = None  # a new requester brings their account
    pointed = {name: getattr(case, name) for name in THINGS} if set(held) & set(values) else {}
    checked = await referred(session, pointed | held | values, principal=actor)
    return values | {name: checked[name] for name in held if checked[name] != getattr(case, name)}


async def _follow_people(
    session: AsyncSession, case: Case, changed: Collection[str], assignee_id: UUID | None, *, actor: Principal
) -> None:
    """Let the conversation be its case's: of the same account, with the same requester and assignee."""
    conversation = await conversations.get(session, subject_of(case.id), principal=actor)
    if "account_id" in changed:
        conversation = await conversations.give(session, conversation, case.account_id, actor=actor)
    if "requester_id" in changed and case.requester_id is not None:
        await conversations.participants.add(
            session,
            conversation,
            actor=actor,
            role=ParticipantRole.requester,
            person_id=case.requester_id,
        )
    await _follow_assignee(session, conversation, case, assignee_id, actor=actor)


async def _follow_assignee(
    session: AsyncSession, conversation: Conversation, case: Case, before: UUID | None, *, actor: Principal
) -> None:
    """The case's assignee, and nobody else, takes part in its conversation as such: notes reach them."""
    if case.assignee_id == before:
        return
    if case.assignee_id is not None:
        await conversations.participants.add(
            session, conversation, actor=actor, role=ParticipantRole.assignee, person_id=case.assignee_id
        )
        return
    for each in await conversations.participants.list_all(session, conversation):
        if each.role == ParticipantRole.assignee:
            await conversations.participants.remove(session, conversation, each.id, actor=actor)


def _owned(actor: Principal, given: dict[str, Any]) -> dict[str, Any]:
    """Whose case it will be: a customer's own, or whose the staff say."""
    if actor.is_staff:
        return given
    refused = sorted(name for name in FOR_STAFF if given.get(name))
    if given.get("kind") == CaseKind.dispute:
        refused.append("kind")
    if refused:
        raise PermissionDeniedError(f"Only staff set {', '.join(refused)}.", fields=refused)
    if actor.person_id is None:
        raise PermissionDeniedError("A case needs a requester: use a key or token that stands for a person.")
    return given | {"requester_id": actor.person_id, "account_id": actor.account_id}


def _cleaned(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without blanks around and card numbers; tags in lower case, each once, in order."""
    cleaned = dict(values)
    for name in ("subject", "description"):
        if cleaned.get(name):
            cleaned[name] = redact(cleaned[name].strip() if name == "subject" else cleaned[name])
    if "tags" in cleaned:
        cleaned["tags"] = sorted({redact(each.strip().lower()) for each in cleaned["tags"]})
    return cleaned

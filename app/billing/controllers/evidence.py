"""Evidence for disputes."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from litestar import Controller, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, convert, structs
from sqlalchemy.ext.asyncio import AsyncSession

from app import idempotency, sla
from app.billing.constants import DisputeStatus
from app.billing.desk import Desk
from app.billing.exceptions import (
    ConfirmationRequiredError,
    DisputeNotAnswerableError,
    DisputeNotFoundError,
    EmptyEvidenceError,
    EvidenceOverdueError,
    EvidenceSubmittedError,
    ProviderUnavailableError,
)
from app.billing.models import Dispute, DisputeEvidence
from app.billing.schemas.evidence import EvidencePack, EvidenceSubmit, EvidenceUpdate, EvidenceView
from app.billing.service import disputes
from app.billing.service.evidence import gathering, packs, sending
from app.billing.utils.packs import assemble
from app.database import Database
from app.exceptions import DatabaseUnavailableError
from app.idempotency import KeyedRequest
from app.identity.constants import Role
from app.identity.guards import require
from app.identity.principal import Principal
from app.knowledge import Asked
from app.openapi import documented
from app.preconditions import Expected


class EvidenceController(Controller):
    """What a dispute is answered with. Staff only."""

    path = "/disputes/{dispute_id:uuid}/evidence"
    tags = ["billing"]  # noqa: RUF012 - the framework reads the plain list
    guards = [require(Role.agent)]  # noqa: RUF012 - likewise

    @get(
        operation_id="get_dispute_evidence",
        opt=documented(raises=[DisputeNotFoundError, DatabaseUnavailableError]),
    )
    async def get_dispute_evidence(
        self,
        dispute_id: FromPath[UUID],
        database: NamedDependency[Database],
        principal: NamedDependency[Principal],
        billing: NamedDependency[Desk],
    ) -> EvidenceView:
        """The evidence: invoice lines, what was done and written, the refund policy in force at the payment.

        Until it is kept or submitted it is assembled afresh for each look.
        """
        asked = await gathering.asked_for_policy(billing)
        async with database.session() as session:
            dispute = await packs.get_dispute(session, dispute_id, principal=principal)
            return await _shown(session, billing, dispute, asked)

    @patch(
        operation_id="update_dispute_evidence",
        opt=documented(raises=[DisputeNotFoundError, EvidenceSubmittedError, DatabaseUnavailableError]),
    )
    async def update_dispute_evidence(
        self,
        *,
        dispute_id: FromPath[UUID],
        data: JSONBody[EvidenceUpdate],
        database: NamedDependency[Database],
        principal: NamedDependency[Principal],
        billing: NamedDependency[Desk],
        expected: NamedDependency[Expected],
    ) -> EvidenceView:
        """Correct the evidence by hand; it is kept from then on and not assembled again."""
        given = {name: text for name, text in structs.asdict(data).items() if text is not UNSET}
        return await _keep(
            database, billing, dispute_id, given, actor=principal, expected=expected, anew=False
        )

    @post(
        "/assemble",
        operation_id="assemble_dispute_evidence",
        status_code=200,
        opt=documented(raises=[DisputeNotFoundError, EvidenceSubmittedError, DatabaseUnavailableError]),
    )
    async def assemble_dispute_evidence(
        self,
        *,
        dispute_id: FromPath[UUID],
        database: NamedDependency[Database],
        principal: NamedDependency[Principal],
        billing: NamedDependency[Desk],
        expected: NamedDependency[Expected],
        keyed: NamedDependency[KeyedRequest | None],
    ) -> EvidenceView:
        """Assemble the evidence as of now and keep it; what was corrected by hand is thrown away."""
        return await _keep(
            database, billing, dispute_id, {}, actor=principal, expected=expected, anew=True, keyed=keyed
        )

    @post(
        "/submit",
        operation_id="submit_dispute_evidence",
        status_code=200,
        guards=[require(Role.lead)],
        opt=documented(
            idempotency_required=True,
            raises=[
                DisputeNotFoundError,
                EvidenceSubmittedError,
                DisputeNotAnswerableError,
                EvidenceOverdueError,
                EmptyEvidenceError,
                ConfirmationRequiredError,
                ProviderUnavailableError,
                DatabaseUnavailableError,
            ],
        ),
    )
    async def submit_dispute_evidence(
        self,
        *,
        dispute_id: FromPath[UUID],
        data: JSONBody[EvidenceSubmit],
        database: NamedDependency[Database],
        principal: NamedDependency[Principal],
        billing: NamedDependency[Desk],
        expected: NamedDependency[Expected],
        keyed: NamedDependency[KeyedRequest | None],
    ) -> EvidenceView:
        """Hand the evidence to the bank, once and for all; a lead's act that has to be confirmed.

        `accepted_at` is null while nobody knows whether the provider has it: it is sent again until it has.
        """
        if billing.provider is None:
            raise ProviderUnavailableError("No payment provider is configured.")
        asked = await gathering.asked_for_policy(billing)
        async with database.session() as session:
            await idempotency.begin(session, keyed)
            dispute = await packs.get_dispute(session, dispute_id, principal=principal)
            row = await packs.stored(session, dispute_id)
            if row is None or not row.pack:
                pack = assemble(await gathering.gather(session, billing, dispute, asked))
                await packs.keep(session, dispute_id, pack, actor=principal, is_edit=False)
            await packs.submit(
                session, dispute_id, actor=principal, expected=expected, confirmed=data.confirm
            )
            view = await _shown(session, billing, dispute, None)
            await idempotency.store(session, keyed, status=200, content=view)
        await sending.send(database, billing.provider, dispute_id)
        async with database.session() as session:
            view = await _shown(session, billing, dispute, None)
            await idempotency.store(session, keyed, status=200, content=view)
        return view


async def _keep(
    database: Database,
    desk: Desk,
    dispute_id: UUID,
    given: dict[str, str],
    *,
    actor: Principal,
    expected: Expected,
    anew: bool,
    keyed: KeyedRequest | None = None,
) -> EvidenceView:
    """Keep the assembled pack, if none is kept or it is wanted ``anew``, with the given texts."""
    asked = await gathering.asked_for_policy(desk)
    async with database.session() as session:
        await idempotency.begin(session, keyed)
        dispute = await packs.get_dispute(session, dispute_id, principal=actor)
        row = await packs.stored(session, dispute_id)
        base = {}
        if anew or row is None or not row.pack:
            base = assemble(await gathering.gather(session, desk, dispute, asked))
        await packs.keep(session, dispute_id, base | given, actor=actor, expected=expected, is_edit=not anew)
        view = await _shown(session, desk, dispute, None)
        await idempotency.store(session, keyed, status=200, content=view)
        return view


async def _shown(session: AsyncSession, desk: Desk, dispute: Dispute, asked: Asked | None) -> EvidenceView:
    row = await packs.stored(session, dispute.id)
    kept = row is not None and bool(row.pack)
    pack = dict(row.pack) if row is not None and kept else {}
    if not kept:
        pack = assemble(await gathering.gather(session, desk, dispute, asked))
    clocks = await sla.clocks(session, disputes.dispute_subject(dispute), at=datetime.now(UTC))
    state = row or DisputeEvidence(attempts=0, version=1)
    return EvidenceView(
        dispute_id=dispute.id,
        dispute_status=DisputeStatus(dispute.status),
        due_at=dispute.evidence_due_at,
        is_edited=kept,
        pack=convert(pack, EvidencePack),
        characters=sum(len(text) for text in pack.values()),
        submitted_at=state.submitted_at,
        submitted_by_id=state.submitted_by_id,
        accepted_at=state.accepted_at,
        attempts=state.attempts,
        last_error=state.last_error,
        clocks=clocks,
        version=state.version,
    )

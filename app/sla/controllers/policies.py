"""Policies."""

from __future__ import annotations

from uuid import UUID

import msgspec
from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncSession

from app.identity.constants import Role
from app.identity.guards import require
from app.identity.principal import Principal
from app.listing import Sort, Total
from app.openapi import documented
from app.pagination import Cursor, Limit, Page
from app.preconditions import Expected
from app.sla.exceptions import (
    InvalidPolicyError,
    PolicyExistsError,
    PolicyNotFoundError,
    TooManyError,
    UnknownCalendarError,
    UnreachableTargetError,
)
from app.sla.models import SlaPolicy
from app.sla.schemas import (
    Condition,
    SlaPolicyCreate,
    SlaPolicyUpdate,
    SlaPolicyView,
    Target,
)
from app.sla.service import policies

LOCATION = {"Location": "Address of the policy."}
ENTERPRISE = {
    "name": "Enterprise",
    "calendar_id": "019a0000-0000-7000-8000-000000000001",
    "conditions": [{"field": "plan", "operator": "any_of", "values": ["enterprise"]}],
    "targets": [
        {"kind": "first_response", "seconds": 3600, "priority": "urgent"},
        {"kind": "first_response", "seconds": 14400},
        {"kind": "resolution", "seconds": 57600},
    ],
    "warn_at_percent": [75, 90],
}


class PolicyController(Controller):
    """Policies: who gets which targets."""

    path = "/policies"
    tags = ["sla"]  # noqa: RUF012 - the framework reads the plain list

    @post(
        operation_id="create_sla_policy",
        guards=[require(Role.lead)],
        opt=documented(
            raises=[
                InvalidPolicyError,
                PolicyExistsError,
                UnknownCalendarError,
                UnreachableTargetError,
                TooManyError,
            ],
            headers=LOCATION,
            example=ENTERPRISE,
        ),
    )
    async def create_sla_policy(
        self,
        data: JSONBody[SlaPolicyCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> Response[SlaPolicyView]:
        """Make a policy; running clocks that it fits come under it at once. Leads and admins."""
        row = await policies.create(session, actor=principal, **structs.asdict(data))
        return Response(_policy(row), status_code=201, headers={"Location": f"/v1/sla/policies/{row.id}"})

    @get(
        operation_id="list_sla_policies",
        guards=[require(Role.agent)],
        opt=documented(listing=policies.POLICIES),
    )
    async def list_sla_policies(
        self,
        *,
        session: NamedDependency[AsyncSession],
        sort: Sort = None,
        cursor: Cursor = None,
        limit: Limit = 20,
        total: Total = False,
    ) -> Page[SlaPolicyView]:
        """List policies in the order in which they are tried. Staff only."""
        found = await policies.list_page(session, sort=sort, cursor=cursor, limit=limit, total=total)
        return found.page(_policy)

    @get(
        "/{policy_id:uuid}",
        operation_id="get_sla_policy",
        guards=[require(Role.agent)],
        opt=documented(raises=[PolicyNotFoundError]),
    )
    async def get_sla_policy(
        self, policy_id: FromPath[UUID], session: NamedDependency[AsyncSession]
    ) -> SlaPolicyView:
        """Get a policy. Staff only."""
        return _policy(await policies.get(session, policy_id))

    @patch(
        "/{policy_id:uuid}",
        operation_id="update_sla_policy",
        guards=[require(Role.lead)],
        opt=documented(
            raises=[
                PolicyNotFoundError,
                InvalidPolicyError,
                PolicyExistsError,
                UnknownCalendarError,
                UnreachableTargetError,
            ],
            example={"enabled": False},
        ),
    )
    async def update_sla_policy(
        self,
        *,
        policy_id: FromPath[UUID],
        data: JSONBody[SlaPolicyUpdate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> SlaPolicyView:
        """Change a policy. Leads and admins.

        Running clocks keep what they have consumed and get new deadlines; one that lies in the past then is
        breached at that moment.
        """
        row = await policies.change(
            session, policy_id, actor=principal, check=expected.check, **structs.asdict(data)
        )
        return _policy(row)

    @delete(
        "/{policy_id:uuid}",
        operation_id="delete_sla_policy",
        guards=[require(Role.lead)],
        opt=documented(raises=[PolicyNotFoundError]),
    )
    async def delete_sla_policy(
        self,
        policy_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> None:
        """Delete a policy; clocks under it follow the next one that fits. Leads and admins."""
        await policies.remove(session, policy_id, actor=principal, check=expected.check)


def _policy(row: SlaPolicy) -> SlaPolicyView:
    return SlaPolicyView(
        id=row.id,
        name=row.name,
        position=row.position,
        conditions=msgspec.convert(row.conditions, list[Condition]),
        targets=msgspec.convert(row.targets, list[Target]),
        warn_at_percent=list(row.warn_at_percent),
        calendar_id=row.calendar_id,
        enabled=row.enabled,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )

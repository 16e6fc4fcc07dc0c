"""The refund policy, version by version. For the staff; admins make a new version."""

from __future__ import annotations

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import to_builtins
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.exceptions import RefundPolicyNotFoundError, UnknownCurrencyError
from app.billing.schemas.refund_policies import RefundPolicyCreate, RefundPolicyView
from app.billing.service.refunds import policies, showing
from app.identity.constants import Role
from app.identity.guards import require
from app.identity.principal import Principal
from app.openapi import documented
from app.pagination import Cursor, Limit, Page


class RefundPolicyController(Controller):
    """Versions of the refund policy."""

    path = "/policies"
    tags = ["billing"]  # noqa: RUF012 - the framework reads the plain list
    guards = [require(Role.agent)]  # noqa: RUF012 - the framework reads the plain list

    @post(
        operation_id="create_refund_policy",
        guards=[require(Role.admin)],
        opt=documented(raises=[UnknownCurrencyError], etag=False),
    )
    async def create_refund_policy(
        self,
        data: JSONBody[RefundPolicyCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> RefundPolicyView:
        """Make a new version of the policy, which is in force at once. What was approved stays approved."""
        policy = await policies.create(session, actor=principal, **to_builtins(data))
        return showing.show_policy(policy, policy.version)

    @get(operation_id="list_refund_policies", opt=documented(etag=False))
    async def list_refund_policies(
        self, session: NamedDependency[AsyncSession], limit: Limit = 20, cursor: Cursor = None
    ) -> Page[RefundPolicyView]:
        """List the versions of the policy, newest first."""
        current = await policies.current(session)
        rows, following = await policies.listed(session, limit=limit, cursor=cursor)
        return Page(
            items=[showing.show_policy(each, current.version) for each in rows], next_cursor=following
        )

    @get(
        "/{policy_version:int}",
        operation_id="get_refund_policy",
        opt=documented(raises=[RefundPolicyNotFoundError], etag=False),
    )
    async def get_refund_policy(
        self, policy_version: FromPath[int], session: NamedDependency[AsyncSession]
    ) -> RefundPolicyView:
        """Get one version of the policy."""
        current = await policies.current(session)
        return showing.show_policy(await policies.get(session, policy_version), current.version)

"""Many tickets in one request."""

from __future__ import annotations

from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from app.bulk import Bulk, BulkResult
from app.identity.constants import Role
from app.identity.guards import require
from app.identity.principal import Principal
from app.openapi import documented
from app.technical.desk import Desk
from app.technical.schemas.tickets import TicketView
from app.technical.schemas.views import TicketChange
from app.technical.service import bulk

OUTAGE = {
    "items": [
        {
            "ticket_id": "019a0000-0000-7000-8000-00000000002a",
            "priority": "high",
            "add_tags": ["outage"],
            "status": "pending",
        }
    ]
}


class TicketBulkController(Controller):
    """Bulk changes of tickets."""

    path = "/tickets/bulk"
    tags = ["technical"]  # noqa: RUF012 - the framework reads the plain list

    @post(
        operation_id="update_tickets",
        status_code=200,
        guards=[require(Role.agent)],
        opt=documented(example=OUTAGE),
    )
    async def update_tickets(
        self,
        data: JSONBody[Bulk[TicketChange]],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        desk: NamedDependency[Desk],
    ) -> BulkResult[TicketView]:
        """Change many tickets: of each the macro, then the changes, then the status.

        Each item asks for the rights that changing this ticket alone would ask for, and has its own result:
        one that fails is undone whole and keeps no other from being done. Staff only.
        """
        return await bulk.change_tickets(session, desk, data.items, actor=principal)

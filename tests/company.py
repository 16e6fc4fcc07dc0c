"""The sample company, told to the tests' database once a run."""

from __future__ import annotations

from uuid import UUID, uuid4

from sqlalchemy import text

from app.billing.seeding import load_billing
from app.database import Database
from app.identity import service as identity

OAK, FERRUM, MARL = "oakhollow", "ferrum-fell", "marlgate"
TOLD = text("select external_id, account_id from billing_customer where external_id = any(:names)")


async def sample_accounts(database: Database) -> dict[str, UUID]:
    """Its accounts by their names, with everything that the provider told of them."""
    async with database.session() as session:
        found = await session.execute(TOLD, {"names": [f"cus_{each}" for each in (OAK, FERRUM, MARL)]})
        accounts = {row[0].removeprefix("cus_"): row[1] for row in found if row[1] is not None}
        if not accounts:
            for name in (OAK, FERRUM, MARL):
                external_id = f"{name}-{uuid4()}"
                accounts[name] = (await identity.upsert_account(session, external_id, name.title())).id
            await load_billing(session, accounts)
    return accounts

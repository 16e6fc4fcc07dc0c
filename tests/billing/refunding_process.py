"""A process of a race for one payment: ``python -m tests.billing.refunding_process``, the task on stdin.

It has an app and a database of its own (DATABASE_URL), and asks, approves and executes in parallel over HTTP.
Says ``calling`` before each call of the provider, and at the end what came of the requests.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter
from dataclasses import dataclass, replace
from uuid import uuid4

import httpx
import msgspec

from app.billing.providers.base import RefundOrder, RefundReceipt
from app.config import Settings
from app.database import Database
from app.main import create_app
from tests.billing.counter import TillProvider

ROUTE = "/v1/billing/refund-requests"
PAUSE = 0.2  # seconds before trying again, with the same key
AGAIN = {"payment_disputed", "database_unavailable", "idempotency_key_in_flight"}


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What a process is to do."""

    port: int
    payment_id: str
    requester: str
    approver: str
    count: int
    most: int
    seed: int


class _Talking(TillProvider):
    async def refund(self, order: RefundOrder) -> RefundReceipt:
        print("calling", flush=True)
        return await super().refund(order)


@dataclass
class Racer:
    """One of those who want the same money."""

    task: Task
    client: httpx.AsyncClient
    outcomes: Counter[str]

    async def post(self, path: str, key: str, body: object = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": str(uuid4())}
        while True:
            answer = await self.client.post(ROUTE + path, json=body, headers=headers)
            if answer.is_success or answer.json()["code"] not in AGAIN:
                return answer
            await asyncio.sleep(PAUSE)

    async def run(self, amount: int) -> None:
        body = {"payment_id": self.task.payment_id, "amount": amount, "currency": "EUR", "reason": "other"}
        made = await self.post("", self.task.requester, body)
        answer = made
        if made.is_success:
            path = f"/{made.json()['id']}"
            answer = await self.post(f"{path}/approve", self.task.approver, {})
            if answer.is_success:
                answer = await self.post(f"{path}/execute", self.task.requester)
        told = answer.json()
        self.outcomes[told.get("code") or told["status"]] += 1


async def race(task: Task) -> Counter[str]:
    """All of them at once; how many ended how."""
    settings = Settings.from_environment()
    database = Database(settings)
    database.open()
    app = create_app(settings, database=database)
    app.state.billing = replace(app.state.billing, provider=_Talking(task.port))
    chances, outcomes = random.Random(task.seed), Counter[str]()
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]  # litestar's own ASGI types
    async with httpx.AsyncClient(transport=transport, base_url="http://tridesk.test") as client:
        racer = Racer(task, client, outcomes)
        await asyncio.gather(*(racer.run(chances.randint(1, task.most)) for _ in range(task.count)))
    await database.stop()
    return outcomes


if __name__ == "__main__":
    print(json.dumps(asyncio.run(race(msgspec.json.decode(sys.stdin.buffer.readline(), type=Task)))))

"""A payment provider in a process of its own: a counter over TCP that sees every call, and its client.

One line of JSON each way. It remembers refunds by their keys, pays no more than was captured less what a
dispute took, and shows faults by a seeded chance: a broken connection before or after the deed.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from app.billing.constants import RefundStatus
from app.billing.providers.base import (
    ProviderRefusedError,
    ProviderUnknownError,
    RefundOrder,
    RefundReceipt,
)

FAULTS = ("lose_request", "lose_answer")
CHANCE = 0.15


@dataclass
class Till:
    """The provider's own books."""

    captured: int
    chances: random.Random
    lost: int = 0
    refunds: dict[str, int] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    calls: Counter[str] = field(default_factory=Counter)
    over: list[int] = field(default_factory=list)
    third: asyncio.Event = field(default_factory=asyncio.Event)  # of what was captured has gone back

    @property
    def total(self) -> int:
        return sum(self.refunds.values())

    def refund(self, key: str, amount: int) -> dict[str, Any]:
        """Once for a key; what would be too much is noted, for the test to fail, and refused."""
        self.calls[key] += 1
        if key in self.refunds:
            assert self.refunds[key] == amount, "another amount under the same key"
        elif key in self.refused or self.total + amount > self.captured - self.lost:
            if key not in self.refused:
                self.over.append(self.total + amount)
            self.refused.add(key)
            return {"refused": "amount_too_large"}
        self.refunds[key] = amount
        if self.total >= self.captured // 3:
            self.third.set()
        return {"id": f"re_{key}"}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked = json.loads(await reader.readline())
            fault = self.chances.choice(FAULTS) if self.chances.random() < CHANCE else None
            if fault == "lose_request":
                self.calls[asked["key"]] += 1
                return
            answer = self.refund(asked["key"], asked["amount"])
            await asyncio.sleep(self.chances.uniform(0, 0.01))
            if fault is None:
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):
            pass  # whoever called was killed
        finally:
            writer.close()


@asynccontextmanager
async def open_till(*, captured: int, seed: int) -> AsyncIterator[tuple[Till, int]]:
    """(the till, its port on the loopback)."""
    till = Till(captured, random.Random(seed))
    server = await asyncio.start_server(till.serve, "127.0.0.1", 0)
    async with server:
        yield till, server.sockets[0].getsockname()[1]


@dataclass
class TillProvider:
    """The client of a till."""

    port: int
    name: str = "sandbox"

    async def refund(self, order: RefundOrder) -> RefundReceipt:
        """See ``PaymentProvider``."""
        asked = {"key": str(order.refund_id), "amount": order.amount}
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                writer.write(json.dumps(asked).encode() + b"\n")
                line = await reader.readline()
            finally:
                writer.close()
        except OSError as error:
            raise ProviderUnknownError from error
        if not line:
            raise ProviderUnknownError
        answer = json.loads(line)
        if "refused" in answer:
            raise ProviderRefusedError(answer["refused"])
        return RefundReceipt(external_id=answer["id"], status=RefundStatus.succeeded)

    async def submit_evidence(self, dispute: str, evidence: Mapping[str, str]) -> None:
        raise ProviderUnknownError

"""A provider that raises costs no connection: the session is opened after it, never beside it."""

from __future__ import annotations

import asyncio
import gc
import logging

from litestar.routes import HTTPRoute

REQUESTS = 40


async def test_a_malformed_precondition_leaves_no_connection_behind(as_role, database, caplog, unique):
    async with as_role("admin") as admin:
        made = await admin.post("/v1/identity/accounts", json={"name": unique, "external_id": unique})
        address = f"/v1/identity/accounts/{made.json()['id']}"

        async def attempt() -> int:
            answer = await admin.patch(address, json={"name": "other"}, headers={"If-Match": "malformed"})
            return answer.status_code

        with caplog.at_level(logging.ERROR):
            answers = await asyncio.gather(*(attempt() for _ in range(REQUESTS)))
            held = database.engine.pool.checkedout()
            gc.collect()
            await asyncio.sleep(0)
    assert (set(answers), held) == ({400}, 0)
    assert [record.getMessage() for record in caplog.records] == []


def test_no_route_opens_its_session_beside_a_provider_that_may_raise(app):
    seen = 0
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        for handler in route.route_handlers:
            model = handler.create_kwargs_model(path_parameters=route.path_parameters)
            for rank in model.dependency_batches:
                keys = {each.key for each in rank}
                if "session" in keys:
                    assert keys == {"session"}, f"{handler}: {keys}"
                    seen += 1
    assert seen > REQUESTS

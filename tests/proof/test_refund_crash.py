"""Killed between reserve and settle, no reserve is stuck afterwards and no money is unaccounted for."""

from __future__ import annotations

import pytest

from tests.billing.racing import race_once

RUNS = 20


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(201, 201 + RUNS))
async def test_killed_as_they_call_the_provider_they_leave_nothing_behind(database, seed):
    print(await race_once(database, seed=seed, processes=4, each=50, kills=4, disputed=bool(seed % 2)))

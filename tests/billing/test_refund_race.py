"""Several processes want the same money at once: no more goes back than was captured and not lost.

The provider is a till that counts for itself and breaks connections before and after its deed. The same with
a dispute that opens half way and is lost, and with processes killed as they call the provider.
"""

from __future__ import annotations

import pytest

from tests.billing.racing import race_once

RUNS = 20


async def test_parallel_refunds_never_exceed_what_was_captured(database):
    print(await race_once(database, seed=1, processes=2, each=20, kills=1, disputed=True))


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(1, RUNS + 1))
async def test_200_parallel_refunds_never_exceed_what_was_captured(database, seed):
    print(await race_once(database, seed=seed, processes=4, each=50))


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(101, 101 + RUNS))
async def test_200_parallel_refunds_and_a_lost_dispute_never_exceed_what_was_captured(database, seed):
    print(await race_once(database, seed=seed, processes=4, each=50, disputed=True))

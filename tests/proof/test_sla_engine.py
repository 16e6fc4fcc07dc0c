"""The engine of sla against a clock that looks at every second: 10,000 random lives of clocks."""

from __future__ import annotations

import random

import pytest

from tests.sla.brute import compare

PARTS = 20
EACH = 500


@pytest.mark.proof
@pytest.mark.parametrize("part", range(PARTS))
def test_deadlines_and_consumed_time_are_those_of_a_clock_that_looks_at_every_second(part: int):
    for seed in range(part * EACH, (part + 1) * EACH):
        try:
            compare(random.Random(seed))
        except AssertionError as error:
            raise AssertionError(f"seed {seed}") from error

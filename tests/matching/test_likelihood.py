"""The likelihood of duplicates rises with each sign of one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.matching import DUPLICATE_FROM
from app.matching.likelihood import probability

COSINES, LIFTS, SHARES = st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 1)


@given(cosine=st.none() | COSINES, lift=LIFTS, share=SHARES, more=st.floats(0.01, 0.5))
def test_more_of_anything_is_likelier(cosine, lift, share, more):
    signs = {"cosine": cosine, "lift": lift, "share": share, "same_signature": False}
    base = probability(**signs)
    assert 0 < base < 1
    assert probability(**signs | {"share": share + more}) > base
    assert probability(**signs | {"same_signature": True}) > base
    if cosine is not None:
        assert probability(**signs | {"cosine": cosine + more}) > base
        assert probability(**signs | {"lift": lift + more}) > base


@pytest.mark.parametrize(
    ("cosine", "lift", "share", "likely"),
    [(0.95, 0.35, 0.5, True), (0.8, 0.15, 0.1, False), (0.5, 0.0, 0.1, False), (None, None, 0.1, False)],
)
def test_what_is_flagged(cosine, lift, share, likely):
    found = probability(cosine=cosine, lift=lift, share=share, same_signature=False)
    assert (found >= DUPLICATE_FROM) is likely

"""Roles and principals by themselves."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.exceptions import InvalidError
from app.identity import SYSTEM, Principal, PrincipalKind, Role
from app.identity.utils import clean_email, clean_external_id, clean_name

RANKED = [Role.customer, Role.agent, Role.lead, Role.admin]


@given(st.sampled_from(RANKED), st.sampled_from(RANKED))
def test_roles_compare_by_rank_not_by_spelling(one: Role, other: Role):
    ranks = RANKED.index(one), RANKED.index(other)
    assert (one < other, one <= other) == (ranks[0] < ranks[1], ranks[0] <= ranks[1])
    assert (one > other, one >= other) == (ranks[0] > ranks[1], ranks[0] >= ranks[1])


def principal(role: Role, account_id: UUID | None = None) -> Principal:
    return Principal(
        kind=PrincipalKind.token, role=role, person_id=uuid4(), account_id=account_id, name="somebody"
    )


def test_audiences_of_a_customer_are_public_customers_and_their_own_account():
    account = uuid4()
    assert principal(Role.customer).audiences == ("public", "customers")
    assert principal(Role.customer, account).audiences == ("public", "customers", f"account:{account}")


@pytest.mark.parametrize("role", RANKED[1:])
def test_audiences_of_staff_do_not_depend_on_an_account(role):
    assert principal(role, uuid4()).audiences == ("public", "customers", "staff")
    assert principal(role).is_staff


def test_the_command_line_is_an_admin_without_a_person():
    assert SYSTEM.at_least(Role.admin)
    assert SYSTEM.person_id is None


@given(st.text(st.characters(exclude_categories=[]), max_size=300))
def test_cleaning_gives_text_that_postgres_can_store_or_refuses(text: str):
    for clean in (clean_name, clean_email, clean_external_id):
        try:
            kept = clean(text)
        except InvalidError:
            continue
        assert kept
        assert "\0" not in kept
        kept.encode("utf-8")  # no lone surrogates
        assert clean(kept) == kept

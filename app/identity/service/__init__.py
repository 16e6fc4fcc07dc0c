"""The rules of identity. No HTTP here, and nothing commits: the caller's transaction does."""

from __future__ import annotations

from app.identity.service.accounts import (
    ACCOUNTS,
    accounts_like,
    create_account,
    get_account,
    update_account,
    upsert_account,
)
from app.identity.service.authentication import KeyMatch, authenticate_claims, authenticate_key
from app.identity.service.bulk import put_person
from app.identity.service.erasure import erase_person, export_keys, lock_for_erasure
from app.identity.service.keys import KEYS, create_key, record_key_use, revoke_key
from app.identity.service.people import (
    PEOPLE,
    create_person,
    get_person,
    hold_person,
    people_like,
    update_person,
    upsert_person,
)

__all__ = [
    "ACCOUNTS",
    "KEYS",
    "PEOPLE",
    "KeyMatch",
    "accounts_like",
    "authenticate_claims",
    "authenticate_key",
    "create_account",
    "create_key",
    "create_person",
    "erase_person",
    "export_keys",
    "get_account",
    "get_person",
    "hold_person",
    "lock_for_erasure",
    "people_like",
    "put_person",
    "record_key_use",
    "revoke_key",
    "update_account",
    "update_person",
    "upsert_account",
    "upsert_person",
]

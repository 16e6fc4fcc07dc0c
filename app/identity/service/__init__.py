"""The rules of identity. No HTTP here, and nothing commits: the caller's transaction does."""

from __future__ import annotations

from app.identity.service.accounts import (
    create_account,
    get_account,
    list_accounts,
    update_account,
    upsert_account,
)
from app.identity.service.authentication import KeyMatch, authenticate_claims, authenticate_key
from app.identity.service.keys import create_key, list_keys, record_key_use, revoke_key
from app.identity.service.people import (
    create_person,
    get_person,
    list_people,
    update_person,
    upsert_person,
)

__all__ = [
    "KeyMatch",
    "authenticate_claims",
    "authenticate_key",
    "create_account",
    "create_key",
    "create_person",
    "get_account",
    "get_person",
    "list_accounts",
    "list_keys",
    "list_people",
    "record_key_use",
    "revoke_key",
    "update_account",
    "update_person",
    "upsert_account",
    "upsert_person",
]

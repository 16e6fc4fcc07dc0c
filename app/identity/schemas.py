"""What identity's routes take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from app.identity.constants import EMAIL_MAX, EXTERNAL_ID_MAX, NAME_MAX, PrincipalKind, Role

# Published, so that clients can check before they send; the service checks again, for every way in.
CONTROL = r"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"
NAME_PATTERN = rf"^ *[^\s{CONTROL}][^{CONTROL}]*$"
EXTERNAL_ID_PATTERN = rf"^[^\s{CONTROL}]([^{CONTROL}]*[^\s{CONTROL}])?$"
EMAIL_PATTERN = rf"^[^\s@{CONTROL}]+@[^\s@{CONTROL}]+$"

AccountName = Annotated[
    str, Meta(min_length=1, max_length=NAME_MAX, pattern=NAME_PATTERN, examples=["Acme GmbH"])
]
PersonName = Annotated[
    str, Meta(min_length=1, max_length=NAME_MAX, pattern=NAME_PATTERN, examples=["Ada Lovelace"])
]
KeyName = Annotated[
    str, Meta(min_length=1, max_length=NAME_MAX, pattern=NAME_PATTERN, examples=["Customer portal"])
]
Email = Annotated[
    str, Meta(min_length=3, max_length=EMAIL_MAX, pattern=EMAIL_PATTERN, examples=["ada@example.com"])
]
AccountExternalId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=EXTERNAL_ID_MAX,
        pattern=EXTERNAL_ID_PATTERN,
        description="The host app's id of the account: `account` in its tokens.",
        examples=["acme"],
    ),
]
PersonExternalId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=EXTERNAL_ID_MAX,
        pattern=EXTERNAL_ID_PATTERN,
        description="The host app's id of the person: `sub` in its tokens.",
        examples=["user-815"],
    ),
]

Version = Annotated[int, Meta(ge=1, description="Counts the changes; the `ETag` of the answer.")]


class Account(Struct, frozen=True, kw_only=True):
    """A customer company."""

    id: UUID
    external_id: Annotated[str, Meta(examples=["acme"])]
    name: Annotated[str, Meta(examples=["Acme GmbH"])]
    version: Version
    created_at: datetime
    updated_at: datetime


class AccountCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new account."""

    external_id: AccountExternalId
    name: AccountName


class AccountUpdate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of an account; what is left out stays."""

    name: AccountName | UnsetType = UNSET


class Person(Struct, frozen=True, kw_only=True):
    """A customer or a member of the staff."""

    id: UUID
    external_id: Annotated[str, Meta(examples=["user-815"])] | None
    name: Annotated[str, Meta(examples=["Ada Lovelace"])]
    email: Annotated[str, Meta(examples=["ada@example.com"])] | None
    account_id: UUID | None
    role: Role
    active: Annotated[bool, Meta(description="A deactivated person's keys and tokens are refused.")]
    sees_account: Annotated[bool, Meta(description="A customer's: also what is others' of their account.")]
    version: Version
    erased_at: datetime | None
    created_at: datetime
    updated_at: datetime


class PersonCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new person; only an admin makes other than customers."""

    name: PersonName
    external_id: PersonExternalId | None = None
    email: Email | None = None
    account_id: UUID | None = None
    role: Role = Role.customer
    sees_account: bool = False


class PersonUpdate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a person; what is left out stays."""

    name: PersonName | UnsetType = UNSET
    email: Email | UnsetType | None = UNSET
    account_id: UUID | UnsetType | None = UNSET
    role: Role | UnsetType = UNSET
    active: bool | UnsetType = UNSET
    sees_account: bool | UnsetType = UNSET


class AccountPut(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account by the host app's id; made if new, renamed if it is called otherwise."""

    external_id: AccountExternalId
    name: AccountName | UnsetType = UNSET


class PersonPut(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person by the host app's id; made if new, changed where a given value is another."""

    external_id: PersonExternalId
    name: PersonName | UnsetType = UNSET
    email: Email | UnsetType | None = UNSET
    account_external_id: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=EXTERNAL_ID_MAX,
                description="Of an account that there is.",
                examples=["acme"],
            ),
        ]
        | UnsetType
        | None
    ) = UNSET
    role: Role | UnsetType = UNSET
    sees_account: bool | UnsetType = UNSET


class ApiKey(Struct, frozen=True, kw_only=True):
    """An API key without its secret."""

    id: UUID
    prefix: Annotated[str, Meta(description="The visible part: `tdk_<prefix>_…`.", examples=["7hQ2mZ9x"])]
    name: Annotated[str, Meta(examples=["Customer portal"])]
    role: Role
    person_id: Annotated[UUID | None, Meta(description="Whom the key acts for.")]
    created_by: Annotated[
        UUID | None, Meta(description="Person or key that made it; null: the command line.")
    ]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: Annotated[datetime | None, Meta(description="To the minute.")]


class ApiKeyCreated(ApiKey, frozen=True, kw_only=True):
    """A new API key; the only time that its secret is shown."""

    secret: Annotated[
        str,
        Meta(
            description="The whole key, for `Authorization: Bearer`. It is not stored: keep it now.",
            examples=["tdk_7hQ2mZ9x_0Yb3Jt6VwK1sRfXq8uCzLgP4nDaEoHiM5T7yBdN2QWvS"],
        ),
    ]


class ApiKeyCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new API key; a customer's needs a person, and no key may have a role above its person's."""

    name: KeyName
    role: Role
    person_id: UUID | None = None
    expires_at: Annotated[datetime, Meta(tz=True, examples=["2030-01-01T00:00:00Z"])] | None = None


class Me(Struct, frozen=True, kw_only=True):
    """Who the caller is to Tridesk, and what follows from it."""

    kind: PrincipalKind
    name: Annotated[str, Meta(examples=["Ada Lovelace"])]
    role: Annotated[Role, Meta(description="The role in force for this credential.")]
    key_id: UUID | None
    person: Person | None
    account: Account | None
    audiences: Annotated[
        list[str],
        Meta(
            description="Audiences whose documents the caller may read.", examples=[["public", "customers"]]
        ),
    ]

"""Tokens of the host app: which hold, and which people and accounts they make."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from uuid import uuid4

import jwt
import pytest
from sqlalchemy import func, select

from app.config import Settings
from app.identity import Role, service
from app.identity.models import Account, Person
from tests.identity.conftest import SECRET, bearer, build_app, client_of

ME = "/v1/identity/me"


def segment(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def assert_invalid(response, reason: str) -> None:
    body = response.json()
    assert (response.status_code, body["code"]) == (401, "invalid_token"), body
    assert reason in body["detail"]


async def me(client, credential: str) -> dict:
    response = await client.get(ME, headers=bearer(credential))
    assert response.status_code == 200, response.text
    return response.json()


async def stored(database, subject: str) -> Person:
    async with database.session() as session:
        return (await session.scalars(select(Person).where(Person.external_id == subject))).one()


async def test_first_sight_makes_the_person_and_the_account(anonymous, token):
    subject, account = f"p-{uuid4()}", f"a-{uuid4()}"
    body = await me(anonymous, token(sub=subject, account=account, name="Ada", email="ada@example.com"))
    assert (body["kind"], body["role"], body["name"]) == ("token", "customer", "Ada")
    assert (body["person"]["external_id"], body["person"]["email"]) == (subject, "ada@example.com")
    assert (body["account"]["external_id"], body["account"]["name"]) == (account, account)
    assert body["audiences"][-1] == f"account:{body['account']['id']}"


async def test_twenty_parallel_first_sights_make_one_person_and_one_account(anonymous, database, token):
    subject, account = f"p-{uuid4()}", f"a-{uuid4()}"
    signed = token(sub=subject, account=account, name="Ada")
    bodies = await asyncio.gather(*(me(anonymous, signed) for _ in range(20)))
    assert len({body["person"]["id"] for body in bodies}) == 1
    async with database.session() as session:
        people = select(func.count()).select_from(Person).where(Person.external_id == subject)
        accounts = select(func.count()).select_from(Account).where(Account.external_id == account)
        assert await session.scalar(people) == 1
        assert await session.scalar(accounts) == 1


async def test_later_sights_write_only_what_changed(anonymous, database, token):
    subject, account = f"p-{uuid4()}", f"a-{uuid4()}"
    await me(anonymous, token(sub=subject, account=account, name="Ada", email="ada@example.com"))
    first = await stored(database, subject)
    await me(anonymous, token(sub=subject, account=account, name="Ada", email="ada@example.com"))
    await me(anonymous, token(sub=subject))
    same = await stored(database, subject)
    assert same.updated_at == first.updated_at, "the same claims, or none, write nothing"
    moved = f"a-{uuid4()}"
    body = await me(anonymous, token(sub=subject, account=moved, name="Ada L.", email="null"))
    assert (body["person"]["name"], body["person"]["email"]) == ("Ada L.", None)
    assert body["account"]["external_id"] == moved
    assert (await stored(database, subject)).updated_at > first.updated_at


async def test_upserts_of_the_same_values_write_nothing(database):
    external_id = str(uuid4())

    async def upsert() -> tuple[Account, Person]:
        async with database.session() as session:
            account = await service.upsert_account(session, external_id, "Acme")
            person = await service.upsert_person(session, external_id, name="Ada", account_id=account.id)
            return account, person

    first, again = await upsert(), await upsert()
    assert [each.updated_at for each in first] == [each.updated_at for each in again]


async def test_a_known_token_costs_one_statement_and_one_that_counts_it(
    anonymous, database, token, statements
):
    signed = token(name="Ada", account=f"a-{uuid4()}")
    await me(anonymous, signed)
    statements.clear()
    assert (await anonymous.get("/for-leads", headers=bearer(signed))).status_code == 403
    assert ["rate_limit" in each for each in statements] == [False, True]


async def test_a_null_account_takes_the_person_out_of_it(anonymous, token):
    subject = f"p-{uuid4()}"
    await me(anonymous, token(sub=subject, account=f"a-{uuid4()}"))
    body = await me(anonymous, token(sub=subject, account="null"))
    assert (body["account"], body["audiences"]) == (None, ["public", "customers"])


async def test_a_deactivated_person_is_refused_and_not_changed(anonymous, admin, database, token):
    subject = f"p-{uuid4()}"
    body = await me(anonymous, token(sub=subject, name="Ada"))
    await admin.patch(f"/v1/identity/people/{body['person']['id']}", json={"active": False})
    for claims in ({"name": "Ada"}, {"name": "Eve", "role": "agent"}):
        response = await anonymous.get(ME, headers=bearer(token(sub=subject, **claims)))
        assert (response.status_code, response.json()["code"]) == (401, "person_deactivated")
    person = await stored(database, subject)
    assert (person.name, person.role, person.active) == ("Ada", Role.customer, False)


@pytest.mark.parametrize(
    ("claimed", "role"),
    [
        (None, "customer"),
        ("customer", "customer"),
        ("agent", "agent"),
        ("lead", "customer"),
        ("admin", "customer"),
        ("Agent", "customer"),
        ("owner", "customer"),
    ],
)
async def test_a_role_is_taken_only_when_the_settings_allow_it(anonymous, token, claimed, role):
    """This server's JWT_ROLES are customer and agent."""
    body = await me(anonymous, token(role=claimed))
    assert (body["role"], body["person"]["role"]) == (role, role)


async def test_an_issuer_cannot_unmake_a_role_that_it_could_not_make(anonymous, database, token):
    """The stored lead stays one; the caller is only what the token may say."""
    subject = f"p-{uuid4()}"
    async with database.session() as session:
        await service.upsert_person(session, subject, name="Boss", role=Role.lead)
    body = await me(anonymous, token(sub=subject, role="customer"))
    assert (body["role"], body["person"]["role"]) == ("customer", "lead")
    body = await me(anonymous, token(sub=subject, role="agent"))
    assert (body["role"], body["person"]["role"]) == ("agent", "lead")


async def test_an_issuer_can_unmake_a_role_that_it_made(anonymous, token):
    subject = f"p-{uuid4()}"
    assert (await me(anonymous, token(sub=subject, role="agent")))["person"]["role"] == "agent"
    body = await me(anonymous, token(sub=subject, role="customer"))
    assert (body["role"], body["person"]["role"]) == ("customer", "customer")


NOW = int(time.time())


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": None}, "lacks the claim `exp`"),
        ({"sub": None}, "lacks the claim `sub`"),
        ({"exp": NOW - 60}, "expired"),
        ({"exp": "soon"}, "malformed"),
        ({"exp": [1]}, "malformed"),
        ({"nbf": NOW + 600}, "not valid yet"),
        ({"iat": NOW + 600}, "not valid yet"),
        ({"iat": "now"}, "`iat`"),
        ({"aud": "somebody else"}, "`aud`"),
        ({"sub": 7}, "`sub`"),
        ({"sub": ""}, "sub: Must not be blank"),
        ({"sub": "a\0b"}, "sub: Must not contain control characters"),
        ({"sub": "a\ud800"}, "sub: Must not contain control characters"),
        ({"sub": "x" * 256}, "sub: Must have at most 255 characters"),
        ({"sub": " padded "}, "sub: Must not begin or end with blanks"),
        ({"account": 7}, "account: Must be a string"),
        ({"account": ""}, "account: Must not be blank"),
        ({"account": "a\0"}, "account: Must not contain control characters"),
        ({"role": ["agent"]}, "role: Must be a string"),
        ({"name": {"first": "Ada"}}, "name: Must be a string"),
        ({"name": "a\x1b[2J"}, "name: Must not contain control characters"),
        ({"name": "x" * 201}, "name: Must have at most 200 characters"),
        ({"email": "nobody"}, "email: Must look like"),
    ],
)
async def test_claims_that_do_not_hold_are_401_with_the_reason(anonymous, token, claims, reason):
    assert_invalid(await anonymous.get(ME, headers=bearer(token(**claims))), reason)


async def test_clocks_may_differ_by_half_a_minute(anonymous, token):
    now = int(time.time())
    await me(anonymous, token(exp=now - 20))
    await me(anonymous, token(nbf=now + 20, iat=now + 20))


async def test_blank_names_and_addresses_say_nothing(anonymous, token):
    subject = f"p-{uuid4()}"
    body = await me(anonymous, token(sub=subject, name="  ", email=""))
    assert (body["name"], body["person"]["email"]) == (subject, None)


async def test_forged_and_broken_tokens_are_401_and_never_quoted(anonymous, token):
    claims = {"sub": "mallory", "exp": NOW + 300}
    good = token()
    unsigned = f"{segment({'alg': 'none'})}.{segment(claims)}."
    forged = {
        "another secret": (token("another secret, just as long as needed"), "signature"),
        "no signature": (unsigned, "`alg`"),
        "none in capitals": (unsigned.replace(segment({"alg": "none"}), segment({"alg": "NONE"})), "`alg`"),
        "another algorithm": (token(SECRET * 2, algorithm="HS512"), "`alg`"),
        "algorithm of no kind": (f"{segment({'alg': ['HS256']})}.{segment(claims)}.AAAA", "`alg`"),
        "changed claims": (".".join([good.split(".")[0], segment(claims), good.split(".")[2]]), "signature"),
        "claims that are no object": (f"{good.split('.')[0]}.{segment([1])}.AAAA", "signature"),
        "three dots of nothing": ("..", "malformed"),
        "header that is no object": (f"{segment([1])}.{segment(claims)}.AAAA", "malformed"),
        "kid that is no text": (f"{segment({'alg': 'HS256', 'kid': 1})}.{segment(claims)}.AAAA", "malformed"),
        "critical extension": (
            f"{segment({'alg': 'HS256', 'crit': ['x']})}.{segment(claims)}.AAAA",
            "malformed",
        ),
        "deep nesting": (f"{segment({'alg': 'HS256'})}.{base64.b64encode(b'[' * 3000).decode()}.AAAA", ""),
    }
    for name, (text, reason) in forged.items():
        response = await anonymous.get(ME, headers=bearer(text))
        assert_invalid(response, reason)
        assert "mallory" not in response.text, name


async def test_a_server_without_token_settings_says_so(database, token):
    async with client_of(build_app(database, Settings())) as client:
        assert_invalid(await client.get(ME, headers=bearer(token())), "JWT_SECRET")


async def test_issuer_and_audience_are_required_once_set(database, token):
    settings = Settings(jwt_secret=SECRET, jwt_issuer="https://app.example", jwt_audience="tridesk")
    right = {"iss": "https://app.example", "aud": ["portal", "tridesk"]}
    async with client_of(build_app(database, settings)) as client:
        assert (await client.get(ME, headers=bearer(token(**right)))).status_code == 200
        for wrong, reason in (
            ({"iss": None}, "`iss`"),
            ({"iss": "https://app.example/"}, "`iss`"),
            ({"iss": ["https://app.example"]}, "`iss`"),
            ({"aud": None}, "`aud`"),
            ({"aud": "portal"}, "`aud`"),
            ({"aud": {"tridesk": 1}}, "`aud`"),
        ):
            signed = token(**right | wrong) if not isinstance(wrong.get("iss"), list) else _raw(right | wrong)
            assert_invalid(await client.get(ME, headers=bearer(signed)), reason)


def _raw(claims: dict) -> str:
    """Signed as it stands; the library's own signing refuses such claims."""
    payload = json.dumps({"sub": "x", "exp": int(time.time()) + 60} | claims).encode()
    return jwt.api_jws.encode(payload, SECRET, algorithm="HS256")

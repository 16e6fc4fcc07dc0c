"""Names and limits of the identity room."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum


class Role(StrEnum):
    """What a caller may do, lowest first. Compares by rank, not by spelling: ``Role.agent < Role.admin``."""

    customer = "customer"
    agent = "agent"
    lead = "lead"
    admin = "admin"

    @property
    def rank(self) -> int:
        """0 for customer, 3 for admin."""
        return tuple(Role).index(self)

    def __lt__(self, other: str) -> bool:
        return self.rank < Role(other).rank

    def __le__(self, other: str) -> bool:
        return self.rank <= Role(other).rank

    def __gt__(self, other: str) -> bool:
        return self.rank > Role(other).rank

    def __ge__(self, other: str) -> bool:
        return self.rank >= Role(other).rank


class PrincipalKind(StrEnum):
    """How a caller proved who it is."""

    api_key = "api_key"
    token = "token"  # noqa: S105 - the name of a kind, not a secret
    system = "system"


PUBLIC = "public"  # the route option that opens a route to callers without a credential

KEY_SCHEME = "tdk"
KEY_PREFIX_LENGTH = 8
KEY_SECRET_LENGTH = 43  # 43 letters of 62 carry 256 bits
KEY_MAX_LIFETIME = timedelta(days=36_525)  # a century; beyond it dates stop fitting every time zone
LAST_USED_RESOLUTION = timedelta(minutes=1)

CREDENTIAL_MAX_BYTES = 8192
EXTERNAL_ID_MAX = 255
NAME_MAX = 200
FILTERS_MAX = 50  # values of one filter
EMAIL_MAX = 254  # RFC 5321, section 4.5.3.1.3, less the angle brackets

SECRET_ALGORITHMS = ("HS256",)
JWKS_ALGORITHMS = ("RS256", "ES256", "EdDSA")
TOKEN_LEEWAY = 30.0  # seconds by which the host app's clock may differ from ours
JWKS_TIMEOUT = 5.0  # seconds for one whole fetch
JWKS_MAX_BYTES = 2**20
JWKS_MAX_AGE = 600.0  # seconds until a key set in use is refreshed behind the requests
JWKS_COOLDOWN = 60.0  # seconds between fetches while there is a key set
JWKS_RETRY = 5.0  # seconds between fetches while there is none

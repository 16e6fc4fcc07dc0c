"""Which addresses are on the public internet."""

from __future__ import annotations

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# IANA's special-purpose registries, RFC 6890 and its updates, as of 2026: whatever is not meant for hosts
# reached over the public internet. Listed here, since the library's own ideas differ between versions.
NOT_PUBLIC_V4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.31.196.0/24",
            "192.52.193.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "192.175.48.0/24",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
        ),
    )
)
# Of IPv6 only global unicast is public, and of that not the special parts. 2002::/16 and 2001::/32 (6to4,
# Teredo) carry an IPv4 address to which a relay would go on: nobody serves webhooks there.
GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
NOT_PUBLIC_V6 = tuple(
    map(
        ipaddress.IPv6Network,
        ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"),
    )
)
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
CLOUD_METADATA = {ipaddress.IPv4Address("168.63.129.16")}  # public by its number, served by the host itself


def literal_address(host: str) -> Address | None:
    """The address that a URL's host is; None when it is a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_public(address: Address) -> bool:
    """Whether a host of anybody's can have the address; judged by the IPv4 address within, if it has one."""
    if isinstance(address, ipaddress.IPv6Address):
        within = address.ipv4_mapped or _translated(address)
        if within is None:
            return (
                address.scope_id is None
                and address in GLOBAL_UNICAST
                and address.is_global
                and not any(address in network for network in NOT_PUBLIC_V6)
            )
        address = within
    return (
        address.is_global
        and address not in CLOUD_METADATA
        and not any(address in network for network in NOT_PUBLIC_V4)
    )


def _translated(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that a NAT64 gateway would go to (RFC 6052)."""
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in NAT64 else None

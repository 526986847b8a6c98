"""The decision whether an address is public, by IANA's registries of special-purpose addresses for IPv4 and IPv6.

The registries are copied here, because the versions of Python differ in what their `ipaddress` considers global.
"""

import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import unquote

from maskrelay.errors import CallbackForbidden

_IPV4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",
            "100.64.0.0/10",  # shared by carriers; metadata service of Alibaba
            "127.0.0.0/8",
            "168.63.129.16/32",  # services of the host for its virtual machines (Azure)
            "169.254.0.0/16",  # link-local, with the metadata services of most clouds
            "172.16.0.0/12",
            "192.0.0.0/24",  # IETF protocol assignments; metadata service of Oracle
            "192.0.2.0/24",  # documentation
            "192.31.196.0/24",  # AS112
            "192.52.193.0/24",  # multicast tunnelling (AMT)
            "192.88.99.0/24",  # relays of 6to4
            "192.168.0.0/16",
            "192.175.48.0/24",  # AS112
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_IPV6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # IETF protocol assignments: Teredo, benchmarks, ORCHID, AMT, AS112, drone identities
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4
            "2620:4f:8000::/48",  # AS112
            "3ffe::/16",  # the 6bone
            "3fff::/20",  # documentation
        ),
    )
)
#: The addresses that represent IPv4 hosts in IPv6-only networks (RFC 6052). Such an address is public if the IPv4
#: address that it contains is public.
_NAT64 = IPv6Network("64:ff9b::/96")
#: The beginning of an ISATAP interface identifier (RFC 5214), which ends with an IPv4 address.
_ISATAP = frozenset({0x0000_5EFE, 0x0200_5EFE})

Address = IPv4Address | IPv6Address


def plain(address: Address) -> Address:
    """Return the IPv4 address that is embedded in an IPv6 address (mapped, 6to4, NAT64).

    If there is none, return the address itself.
    """
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


def is_public(address: Address) -> bool:
    """Return whether a host on the public internet can have the address."""
    if isinstance(address, IPv6Address):
        if address in _NAT64 or address.ipv4_mapped:
            return is_public(plain(address))
        is_isatap = (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP
        if address.scope_id or is_isatap or address not in _GLOBAL_UNICAST:
            return False
        return not any(address in network for network in _IPV6)
    return not any(address in network for network in _IPV4)


def literal(host: str) -> Address | None:
    """Return the address that `host` denotes, in any notation that a resolver accepts, or None if it is a name.

    `localhost` and its subdomains are treated as the loopback address (RFC 6761). Raises CallbackForbidden if `host` is
    neither an address nor a name.
    """
    host = host.strip("[]").rstrip(".").lower()
    if ":" in host:
        try:
            return ip_address(unquote(host))
        except ValueError:
            raise CallbackForbidden("the callback's host is not a valid address") from None
    if host == "localhost" or host.endswith(".localhost"):
        return IPv4Address("127.0.0.1")
    if "%" in host or not host:
        raise CallbackForbidden("the callback's host is not a valid name")
    try:
        return IPv4Address(socket.inet_aton(host))  # also decimal, octal, hexadecimal and short forms
    except (OSError, UnicodeError):
        return None

"""Which addresses are the public internet, and which are somebody's inside."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

#: Not the internet's either: older releases of `ipaddress` know the first in part only.
_INSIDE = (
    IPv4Network("192.0.0.0/24"),  # IETF protocol assignments; Oracle's metadata service
    IPv4Network("168.63.129.16/32"),  # a host's own services for its virtual machines (Azure)
)
_NAT64 = IPv6Network("64:ff9b::/96")


def plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one stands for (mapped, 6to4, NAT64), any other as it is."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether a `plain` address is one that anybody on the internet could be at.

    Not so: loopback, private, shared (100.64/10), link-local with the clouds' metadata services, multicast, reserved
    and unspecified addresses, by IANA's special-purpose registries as Python's `ipaddress` has them.
    """
    special = (
        not address.is_global
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
        or address.is_link_local
        or address.is_loopback
        or (isinstance(address, IPv6Address) and address.is_site_local)
    )
    return not special and not any(address in network for network in _INSIDE)

"""Which addresses events may be sent to: public ones, and those that a setting allows.

Whoever may make webhooks could otherwise have this process ask what only it can reach: the host itself, the network
around it, and the cloud's metadata (server-side request forgery, CWE-918). An IPv4 address counts however it is put
into an IPv6 one.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from yarl import URL

from service.errors import RequestError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

URL_CHARS_MAX: Final = 2_000
# Beside what is_global says, which differs among versions of Python (RFC 6890 and IANA's registries of 2026).
_NOT_PUBLIC: Final = tuple(
    ip_network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        # Of 2000::/3, outside of which nothing is public: Teredo, benchmarks, ORCHID, documentation, segment routing.
        *("2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16"),
    )
)
_UNICAST: Final = IPv6Network("2000::/3")
_WITH_IPV4: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("::/96"))
"""Networks whose addresses end with an IPv4 one: NAT64 (RFC 6052), and IPv4-compatible ones (RFC 4291)."""


class AddressRefusedError(RequestError):
    """the address is none of the public internet, and `CALLEDGER_WEBHOOK_NETWORKS` does not allow it"""


class AddressGuard:
    """What the settings allow. `networks`: beside the public addresses; `http`: whether TLS may be left out."""

    def __init__(self, networks: Sequence[Network] = (), *, http: bool = False) -> None:
        self._networks = networks
        self._schemes = ("https", "http") if http else ("https",)

    def allows(self, text: str) -> bool:
        """Whether events may be sent to an IP address, which is checked as it will be connected to."""
        try:
            address = _effective(ip_address(text.partition("%")[0]))
        except ValueError:
            return False
        return any(address in network for network in self._networks) or _is_public(address)

    def check_literal(self, url: URL) -> None:
        """Raise AddressRefusedError when the URL names an address itself, and that is not allowed.

        Of a name nothing can be said before it is resolved, which happens at each attempt.
        """
        try:
            ip_address((url.host or "").partition("%")[0])
        except ValueError:
            return
        if not self.allows(url.host or ""):
            raise AddressRefusedError

    def checked_url(self, text: str) -> URL:
        """The URL of a webhook. Raises RequestError, which does not repeat it: it may be a credential."""
        if not 0 < len(text) <= URL_CHARS_MAX or not text.isascii() or not text.isprintable() or " " in text:
            raise RequestError(f"a `url` has 1 to {URL_CHARS_MAX} printable ASCII characters without blanks")
        try:
            url = URL(text)
            host, port = url.host, url.port
        except ValueError:
            raise RequestError("the `url` cannot be read: write it as `https://hooks.example.com/calledger`") from None
        if url.scheme not in self._schemes:
            advice = "" if "http" in self._schemes else "; `CALLEDGER_WEBHOOK_HTTP` would allow `http` inside a network"
            raise RequestError(f"the `url` of a webhook begins with `https://`{advice}")
        if not host or not port:
            raise RequestError("the `url` of a webhook names a host, and a port other than 0")
        if url.user is not None or url.password is not None or url.raw_fragment:
            raise RequestError("the `url` of a webhook has no user, password or fragment: events are signed")
        self.check_literal(url)
        return url


def shown(url: URL) -> str:
    """The part of a URL that is no secret: scheme, host and port, and that there is more."""
    return str(url.origin()) + ("/..." if url.raw_path_qs != "/" else "/")


def _effective(address: Address) -> Address:
    """The IPv4 address that packets to an IPv6 one would reach in the end; any other one as it is."""
    if isinstance(address, IPv4Address):
        return address
    inside = address.ipv4_mapped or address.sixtofour
    if inside is None and any(address in network for network in _WITH_IPV4):
        inside = IPv4Address(int(address) & 0xFFFFFFFF)
    return address if inside is None else inside


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address not in _UNICAST:
        return False
    return address.is_global and not any(address in network for network in _NOT_PUBLIC)

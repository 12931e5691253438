"""The port of the service: a socket that is bound first, and listens when everything is ready."""

import errno
import socket

from service.errors import OperatorError
from service.settings import Settings


def listen(settings: Settings, *, shared: bool) -> socket.socket:
    """A socket that is bound and does not listen yet: until it does, connections are refused."""
    if shared and settings.port:
        # Only our own processes may share the port: bind alone first, which fails while another service has it.
        bind(settings, shared=False).close()
    return bind(settings, shared=shared)


def bind(settings: Settings, *, shared: bool) -> socket.socket:
    """A socket bound to the host and port of the settings. `shared`: other processes may bind it too (SO_REUSEPORT).

    Raises OperatorError when it cannot be bound.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((settings.host, settings.port))
    except (OSError, UnicodeError) as error:
        listener.close()
        raise cannot_listen(settings.host, settings.port, error) from None
    return listener


def cannot_listen(host: str, port: int, error: OSError | UnicodeError) -> OperatorError:
    """The error for a port that cannot be used, with advice."""
    if isinstance(error, OSError) and error.errno in (errno.EADDRINUSE, errno.EACCES):
        advice = "choose another --port; 0 takes a free one"
    else:
        advice = "is --host an address of this machine?"
    reason = (error.strerror if isinstance(error, OSError) else None) or "no such name"
    return OperatorError(f"`{host}:{port}` cannot be listened on ({reason.lower()}): {advice}")


def address_host(host: str) -> str:
    """`host` as an address has it: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host

"""How much of the data written to a connection TCP has sent and had acknowledged, according to the kernel (Linux)."""

import asyncio
import socket
import struct
from dataclasses import dataclass

#: Where `struct tcp_info` of linux/tcp.h has these, in bytes from its beginning; 64-bit numbers.
_ACKNOWLEDGED, _SENT, _SENT_AGAIN = 120, 200, 208
_SIZE = 216


@dataclass(frozen=True, slots=True)
class Progress:
    """Bytes of a connection so far: those that the kernel has sent, and those that the other side has acknowledged.

    Over TLS they are more than what was written. is_known: whether the kernel tells, which only Linux does.
    """

    sent: int = 0
    acknowledged: int = 0
    is_known: bool = False

    @classmethod
    def of(cls, transport: asyncio.BaseTransport) -> "Progress":
        """The progress now; UNKNOWN where the kernel does not tell, or the socket is closed."""
        sock, option = transport.get_extra_info("socket"), getattr(socket, "TCP_INFO", None)
        if sock is None or option is None:
            return UNKNOWN
        try:
            told = sock.getsockopt(socket.IPPROTO_TCP, option, _SIZE)
        except OSError:
            return UNKNOWN
        if len(told) < _SIZE:
            return UNKNOWN
        acknowledged, sent, again = (
            struct.unpack_from("=Q", told, place)[0] for place in (_ACKNOWLEDGED, _SENT, _SENT_AGAIN)
        )
        return cls(sent - again, acknowledged, True)


UNKNOWN = Progress()

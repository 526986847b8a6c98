"""The progress of TCP on a connection, as Linux reports it: the number of bytes sent, and the number acknowledged."""

import asyncio
import socket
import struct
from dataclasses import dataclass

#: The byte offsets of three 64-bit fields in `struct tcp_info` of linux/tcp.h: the acknowledged bytes, all sent bytes
#: (including those that were sent again), and the bytes that were sent again.
_ACKNOWLEDGED, _SENT, _SENT_AGAIN = 120, 200, 208
_SIZE = 216


@dataclass(frozen=True, slots=True)
class WriteProgress:
    """The number of bytes that the kernel has sent, and the number of bytes that the server has acknowledged.

    Bytes that were sent again are counted once. If the connection uses TLS, the bytes that TLS adds are counted too.
    """

    sent: int = 0
    acknowledged: int = 0
    #: Whether the kernel reports these numbers, which only Linux does.
    is_known: bool = False

    @classmethod
    def of(cls, transport: asyncio.BaseTransport) -> "WriteProgress":
        """Return the current progress, or UNKNOWN if the kernel does not report it or the socket is closed."""
        sock, option = transport.get_extra_info("socket"), getattr(socket, "TCP_INFO", None)
        if sock is None or option is None:
            return UNKNOWN
        try:
            info = sock.getsockopt(socket.IPPROTO_TCP, option, _SIZE)
        except OSError:
            return UNKNOWN
        if len(info) < _SIZE:
            return UNKNOWN
        acknowledged, sent, again = (
            struct.unpack_from("=Q", info, place)[0] for place in (_ACKNOWLEDGED, _SENT, _SENT_AGAIN)
        )
        return cls(sent - again, acknowledged, True)


UNKNOWN = WriteProgress()

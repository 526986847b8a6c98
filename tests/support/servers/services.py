"""A substitute for a Kubernetes Service: each new connection goes to the next API process that accepts connections."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from maskrelay.stack.loopback import HOST
from tests.support.drivers.stack_behind_proxies import Scene, port_of
from tests.support.proxies.tcp_proxy import TcpProxy


class Service(TcpProxy):
    """The service with the endpoints `ports`. A process that is no longer among them keeps its connections."""

    def __init__(self, port: int) -> None:
        self.ports = [port]
        self._turns = count()
        super().__init__((HOST, port))

    def picked(self) -> tuple[str, int]:
        ports = self.ports
        return HOST, ports[next(self._turns) % len(ports)]


@contextmanager
def service_before(at: Scene) -> Iterator[Service]:
    """Let callers reach the API through a Service."""
    service = Service(port_of(at.url))
    at.url = f"http://{HOST}:{service.port}"
    try:
        yield service
    finally:
        service.close()

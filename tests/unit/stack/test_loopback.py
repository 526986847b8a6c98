"""Ports for servers that start a moment later, chosen by processes that do not know of each other."""

import socket
import subprocess
import sys

from maskrelay.stack.loopback import HOST, free_port

CHOOSE = "from maskrelay.stack.loopback import free_port; print(*(free_port() for _ in range(400)))"


def test_no_two_processes_get_the_same_port() -> None:
    choosing = [subprocess.Popen([sys.executable, "-c", CHOOSE], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    ports = [port for one in choosing for port in one.communicate(timeout=60)[0].split()]
    assert len(ports) == 1200
    assert len(set(ports)) == 1200  # 1,200 random ports of 22,528 would hold about 30 pairs of equal ones


def test_a_server_can_listen_at_a_reserved_port() -> None:
    port = free_port()
    with socket.create_server((HOST, port)) as server, socket.create_connection((HOST, port)) as client:
        accepted, peer = server.accept()
        assert peer == client.getsockname()
        accepted.close()

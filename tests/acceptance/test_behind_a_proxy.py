"""A hospital's network: nothing is reached but through a proxy that wants a password, and all certificates are private.

The endpoint, the object store and the receiver of the callback have addresses that only the proxies reach, so whatever
went past them would fail. Redis is on the inside, over TLS, and insists on a client certificate. One proxy speaks TLS,
the other plain HTTP; tests/integration covers each client with both kinds.
"""

import json
from contextlib import ExitStack
from pathlib import Path

import pytest
from PIL import Image
from skimage import data
from standardwebhooks.webhooks import Webhook

from tests.support.builders.certificates import Authority, server_context
from tests.support.builders.pictures import saved
from tests.support.checks.faults_check import LONG
from tests.support.proxies.http_proxies import PASSWORD, QUOTED, HttpProxy, http_proxy
from tests.support.proxies.tls_proxies import tls_before
from tests.support.servers.receivers import receiver, status
from tests.support.servers.s3_servers import running_s3
from tests.support.servers.simulators import eventually, running_simulator
from tests.support.servers.stacks import running_stack
from tests.support.servers.valkeys import running_valkey

DISC = "optic disc in retinal fundus"
OUTSIDE = ("endpoint.example", "127.0.0.2", "receiver.example")


def port_of(url: str) -> int:
    return int(url.split(":")[2].partition("/")[0])


def hosts_asked(proxy: HttpProxy) -> set[str]:
    return {line.split()[1].partition(":")[0] for line in proxy.asked}


def test_one_job_and_its_callback_go_the_whole_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    authority = Authority(tmp_path)
    certificate = authority.issue("servers", "127.0.0.1", *OUTSIDE)
    shown = authority.issue("maskrelay")
    (tmp_path / "retina.png").write_bytes(saved(Image.fromarray(data.retina()), "PNG"))
    with ExitStack() as around:
        enter = around.enter_context
        s3, valkey, simulator = enter(running_s3()), enter(running_valkey()), enter(running_simulator("simulator-key"))
        store = enter(tls_before(port_of(s3.endpoint_url), *certificate))
        redis = enter(tls_before(valkey.port, *certificate, clients=authority.file))
        endpoint = enter(tls_before(port_of(simulator.url), *certificate))
        hook = enter(receiver(status(204), server_context(certificate)))
        names = dict.fromkeys(OUTSIDE, "127.0.0.1")
        proxy = enter(http_proxy(server_context(certificate), names=names))
        plain = enter(http_proxy(names=names))
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("MASKRELAY_CA_FILE", str(authority.file))
        monkeypatch.setenv("MASKRELAY_REDIS_CERT_FILE", str(shown[0]))
        monkeypatch.setenv("MASKRELAY_REDIS_CERT_KEY_FILE", str(shown[1]))
        stack = enter(
            running_stack(
                tmp_path / "data",
                ca_file=authority.file,
                redis_url=f"rediss://127.0.0.1:{redis}/0",
                redis_cert_file=shown[0],
                redis_cert_key_file=shown[1],
                storage_url=s3.storage_url,
                s3_endpoint_url=f"https://127.0.0.2:{store}",
                endpoint_url=f"https://endpoint.example:{endpoint}/score",
                endpoint_key="simulator-key",
                endpoint_proxy=proxy.url,
                callback_proxy=plain.url,
                score_timeout_s=20,
                slot_lease_s=25,
                soft_shutdown_s=40,
                termination_grace_s=50,
            )
        )
        client = enter(stack.client())
        job = client.submit([tmp_path / "retina.png"], [DISC], callback=hook.url("receiver.example", "https"))
        ended = client.wait(job.id, LONG)
        assert ended.state == "succeeded"
        assert client.save(job.id, tmp_path / "out")
        assert eventually(lambda: len(hook.received) == 1, within_s=60)
        logs = "".join(path.read_text(errors="replace") for path in stack.stack.logs.iterdir())
    (got,) = hook.received
    assert job.callback is not None
    assert job.callback.secret is not None
    Webhook(job.callback.secret).verify(got.body, got.headers)
    assert json.loads(got.body)["data"]["id"] == job.id
    assert hosts_asked(proxy) == {"endpoint.example", "127.0.0.2"}
    assert hosts_asked(plain) == {"receiver.example"}
    assert proxy.refused == plain.refused == 0
    assert PASSWORD not in logs
    assert QUOTED not in logs

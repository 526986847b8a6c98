"""A real Prometheus that scrapes one address, and the results of its queries."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from maskrelay.stack.loopback import free_port
from tests.support.checks.system_programs import system_program
from tests.support.servers.simulators import eventually

_CONFIG = """
global: {{scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: maskrelay
    static_configs: [{{targets: ["{target}"]}}]
"""
_COMPARED = re.compile(r"(==|!=|>=|<=|>|<)(?!\s*bool)(?=[^=~])")


@dataclass(frozen=True)
class RunningPrometheus:
    url: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the samples that the expression has now. Fails for an invalid expression."""
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": expression}, timeout=10, trust_env=False)
        assert answer.status_code == 200, answer.text
        found = answer.json()["data"]["result"]
        return list(found)

    def rules(self) -> dict[str, str]:
        """Return the health of each rule by the name of its alert."""
        answer = httpx.get(f"{self.url}/api/v1/rules", timeout=10, trust_env=False).json()
        return {rule["name"]: rule["health"] for group in answer["data"]["groups"] for rule in group["rules"]}


def as_values(expression: str) -> str:
    """Return an alert's expression in a form that has data whether it fires or not.

    Comparisons give 0 or 1, and what must be absent is queried itself.
    """
    absent = re.fullmatch(r"absent\((.*)\)", expression)
    if absent:
        return absent[1]
    outside = re.split(r"(\{[^}]*\})", expression)
    return "".join(one if one.startswith("{") else _COMPARED.sub(r"\1 bool ", one) for one in outside)


@contextmanager
def running_prometheus(folder: Path, target: str, rules: Path) -> Iterator[RunningPrometheus]:
    """Run Debian's `prometheus`, which scrapes `target` (host:port) twice a second, with these rules."""
    program, port = system_program("prometheus", "prometheus"), free_port()
    config = folder / "prometheus.yml"
    config.write_text(_CONFIG.format(rules=rules, target=target))
    command = [program, f"--config.file={config}", f"--storage.tsdb.path={folder / 'series'}"]
    with (folder / "prometheus.log").open("wb") as log:
        child = subprocess.Popen(
            [*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log, start_new_session=True
        )
    running = RunningPrometheus(f"http://127.0.0.1:{port}")
    try:
        assert eventually(lambda: _is_ready(running.url), within_s=60), (folder / "prometheus.log").read_text()
        yield running
    finally:
        child.kill()
        child.wait()


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/-/ready", trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False

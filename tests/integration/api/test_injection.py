"""Whatever a caller writes: no line of a log and no header of an answer is of their making."""

import json
import logging

import httpx
import pytest

from tests.support.drivers.api_jobs import (
    PROMPT,
    accepted,
    failed,
    finish,
)
from tests.support.servers.apis import RunningApi

FORGED = "x\r\nx-forged: 1\r\n2026-11-25 FORGED line"
ESCAPED = "x%0d%0ax-forged:%201%0d%0a2026-11-25%20FORGED%20line"
HOOK = "http://127.0.0.1:9/hook"


def requests(api: RunningApi, client: httpx.Client, job: str) -> list[httpx.Response]:
    """A request for every place where a caller's words go."""
    item = {"upload": FORGED, "custom_id": FORGED, "prompts": [FORGED]}
    options = {"metadata": {FORGED: FORGED}, "callback": {"url": f"{HOOK}?{FORGED}", "secret": FORGED}, FORGED: 1}
    files = {"image": (FORGED, b"x", "image/png")}
    return [
        client.get(f"/v1/jobs/{ESCAPED}"),
        client.get(f"/v1/jobs/{job}/artifacts/{ESCAPED}"),
        client.post(f"/v1/jobs/{job}/deliveries/{ESCAPED}/replay"),
        client.get(f"/v1/jobs?cursor={ESCAPED}"),
        client.get(f"/v1/jobs/{job}/items?flag={ESCAPED}&cursor={ESCAPED}"),
        client.get(f"/{ESCAPED}"),
        client.get("/v1/jobs", headers={"authorization": f"Bearer {ESCAPED}.{ESCAPED}.{ESCAPED}"}),
        client.get("/v1/jobs", headers={"traceparent": ESCAPED, "prefer": f"wait={ESCAPED}", "accept": ESCAPED}),
        client.post("/v1/jobs", json={"items": [item], "options": options}),
        client.post("/v1/jobs", json={"items": [item]}),
        client.post("/v1/jobs", files=files, data={"prompt": FORGED}),
        client.post(
            "/v1/jobs", files=files, data={"prompt": PROMPT, "options": json.dumps({"metadata": {"a": FORGED}})}
        ),
        client.post("/v1/jobs", content=b"x", headers={"content-type": ESCAPED, "idempotency-key": ESCAPED}),
    ]


def test_nothing_that_a_caller_wrote_makes_a_line_of_the_log_or_a_header(
    api: RunningApi, north: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    job = accepted(north)
    finish(api, job, failed(0))
    with caplog.at_level(logging.DEBUG):
        answers = requests(api, north, job)
    assert {answer.status_code for answer in answers} >= {202, 400, 401, 404, 422}
    assert not any("x-forged" in answer.headers for answer in answers)
    ours = [record.getMessage() for record in caplog.records if record.name.split(".")[0] in {"api", "maskrelay"}]
    assert not any("FORGED" in message or "x-forged" in message for message in ours)

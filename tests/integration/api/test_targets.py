"""GET /v1/prompts, and warnings about prompts that the model was not trained on."""

import httpx

from tests.support.drivers.api_jobs import submit
from tests.support.servers.apis import RunningApi


def test_known_prompts_are_listed_by_modality_and_site(north: httpx.Client) -> None:
    answer = north.get("/v1/prompts", params={"modality": "ultrasound", "site": "breast"})
    assert answer.status_code == 200
    assert [one["prompt"] for one in answer.json()["prompts"]] == [
        "benign tumor in breast ultrasound",
        "malignant tumor in breast ultrasound",
    ]


def test_a_modality_that_nobody_knows_has_no_prompts(north: httpx.Client) -> None:
    assert north.get("/v1/prompts", params={"modality": "radar"}).json() == {"prompts": []}


def test_the_prompts_are_not_for_everybody(api: RunningApi) -> None:
    assert httpx.get(f"{api.url}/v1/prompts", trust_env=False).status_code == 401


def test_an_unknown_prompt_is_accepted_with_a_warning_that_stays(north: httpx.Client) -> None:
    prompts = ["optic disc in retinal fundus", "livr in abdomen CT"]
    answer = submit(north, b"pixels", prompts=prompts)
    assert answer.status_code == 202
    warnings = [{"code": "prompt_unknown", "prompt": "livr in abdomen CT", "nearest": "liver in abdomen CT"}]
    assert answer.json()["warnings"] == warnings
    assert north.get(f"/v1/jobs/{answer.json()['id']}").json()["warnings"] == warnings

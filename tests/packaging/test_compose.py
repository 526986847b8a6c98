"""The compose file is valid, hardened, and keeps its secrets in files."""

import json
import os
import re
import shutil
import subprocess
from copy import deepcopy
from pathlib import Path

import jsonschema
import pytest
import yaml

from maskrelay.settings import Settings
from tests.packaging.compose import ROOT, load
from tests.packaging.dockerfile import stages
from worker.process.celery_app import ROLES

COMPOSE = load()
SERVICES = COMPOSE["services"]
SCHEMA = json.loads((ROOT / "tests" / "data" / "schemas" / "compose-spec.json").read_text())
WORKERS = ["segment", "assemble", "control", "deliver"]
#: They run once and end.
ONCE = {"secrets", "bucket"}
FOREVER = sorted(SERVICES.keys() - ONCE)


def test_it_fits_the_schema_of_the_specification_and_a_slip_of_the_pen_does_not():
    validator = jsonschema.Draft201909Validator(SCHEMA)
    assert [error.message for error in validator.iter_errors(COMPOSE)] == []
    slip = deepcopy(COMPOSE)
    slip["services"]["api"]["healthchek"] = slip["services"]["api"].pop("healthcheck")
    assert [error.message for error in validator.iter_errors(slip)]


def test_the_compose_program_reads_it_as_we_do():
    program = shutil.which("docker-compose")
    if program is None and not os.environ.get("CI"):
        pytest.skip("there is no docker-compose (Debian's docker-compose will do)")
    assert program is not None
    ended = subprocess.run([program, "config", "--services"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert set(ended.stdout.split()) >= set(WORKERS) | {"api", "redis", "s3", "simulator", "secrets", "bucket"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_is_pinned_limited_and_may_write_only_where_it_must(name: str):
    service = SERVICES[name]
    image, _, digest = service["image"].partition("@sha256:")
    _, _, tag = image.rpartition(":")
    assert tag[0].isdigit() or (tag[0] == "v" and tag[1].isdigit())
    assert image.startswith("maskrelay-") or re.fullmatch("[0-9a-f]{64}", digest)
    assert service["read_only"] is True
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}
    assert service["pids_limit"] > 0
    if name == "secrets":
        assert (service["user"], service["network_mode"]) == ("0:0", "none")
    else:
        assert (service["user"], service["cap_drop"]) == ("10001:10001", ["ALL"])


def test_every_file_and_folder_of_the_tree_that_a_service_mounts_exists():
    mounted = {
        place.partition(":")[0]
        for service in SERVICES.values()
        for place in service.get("volumes", [])
        if isinstance(place, str) and place.startswith("./")
    }
    assert mounted
    assert {place for place in mounted if not (ROOT / place).exists()} == set()


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_temporary_files_are_bounded_and_local_copies_are_on_a_disk(name: str):
    service = SERVICES[name]
    assert all("size=" in place for place in service.get("tmpfs", []))
    if name in WORKERS:
        assert service["environment"]["TMPDIR"] == "/copies"
        named = [place for place in service["volumes"] if isinstance(place, dict)]
        assert [place["source"] for place in named if place["target"] == "/copies"] == ["copies"]


@pytest.mark.parametrize("name", FOREVER)
def test_a_service_that_stays_says_whether_it_is_well_and_starts_after_what_it_needs(name: str):
    service = SERVICES[name]
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["restart"] == "unless-stopped"
    if name in {"api", *WORKERS}:
        assert service["depends_on"] == {
            "redis": {"condition": "service_healthy"},
            "bucket": {"condition": "service_completed_successfully"},
        }


@pytest.mark.parametrize("name", ["api", *WORKERS])
def test_no_secret_stands_in_an_environment(name: str):
    given = SERVICES[name]["environment"]
    assert {"MASKRELAY_REDIS_URL", "MASKRELAY_SERVER_KEY", "MASKRELAY_ENDPOINT_KEY"} & given.keys() == set()
    assert not [one for one in given if one.startswith("AWS_SECRET") or one == "AWS_ACCESS_KEY_ID"]


@pytest.mark.parametrize("name", ["api", *WORKERS])
def test_a_stopping_worker_has_the_time_that_its_settings_count_on(name: str, tmp_path: Path):
    secret = tmp_path / "secret"
    secret.write_text("x" * 40)
    given = {
        key: str(secret) if key.endswith("_FILE") else value for key, value in SERVICES[name]["environment"].items()
    }
    settings = Settings.from_environment(given)
    grace = float(SERVICES[name]["stop_grace_period"].removesuffix("s"))
    if name in WORKERS:
        assert grace == settings.termination_grace.total_seconds()
    else:
        command = SERVICES[name]["command"]
        assert grace > float(command[command.index("--grace") + 1])


def test_redis_persists_each_second_and_never_evicts():
    command = SERVICES["redis"]["command"]
    options = {one: command[place + 1] for place, one in enumerate(command) if one.startswith("--")}
    assert options["--appendonly"] == "yes"
    assert options["--appendfsync"] == "everysec"
    assert options["--maxmemory-policy"] == "noeviction"


def test_the_stores_are_reached_by_no_one_outside():
    assert COMPOSE["networks"]["stores"]["internal"] is True
    for name in ("redis", "s3"):
        assert SERVICES[name]["networks"] == ["stores"]
        assert "ports" not in SERVICES[name]
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_each_service_mounts_its_own_secrets_and_no_one_else_theirs():
    for name, service in SERVICES.items():
        mounted = [one.split(":")[0] for one in service.get("volumes", []) if isinstance(one, str)]
        secrets = {one for one in mounted if one.startswith("secrets")}
        if name == "secrets":
            assert secrets == {one for one in COMPOSE["volumes"] if one.startswith("secrets")}
        else:
            assert secrets <= {f"secrets-{name}"}, name


def test_proxies_certificates_and_the_key_for_metrics_reach_the_processes_that_use_them(tmp_path: Path):
    secrets = {
        "MASKRELAY_METRICS_KEY_FILE": "a key for metrics, long enough",
        "MASKRELAY_ENDPOINT_PROXY_FILE": "http://user:word@proxy.example:3128",
        "MASKRELAY_CALLBACK_PROXY_FILE": "http://user:word@proxy.example:3128",
    }
    names = ("ENDPOINT_CERT_FILE", "ENDPOINT_CERT_KEY_FILE", "CALLBACK_CERT_FILE", "CALLBACK_CERT_KEY_FILE")
    files = {name: str(tmp_path / name) for name in [*secrets, *(f"MASKRELAY_{name}" for name in names)]}
    for name, file in files.items():
        Path(file).write_text(secrets.get(name, "a certificate"))
    plain = {"HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": ".example"}
    services = load(**files, **plain)["services"]
    (tmp_path / "kept").write_text("k" * 40)
    read = {}
    for name in ("api", *WORKERS):
        given = services[name]["environment"]
        assert plain.items() <= given.items()
        assert not set(secrets.values()) & set(given.values())
        for variable in files.keys() & given.keys():
            assert f"{files[variable]}:{files[variable]}:ro" in services[name]["volumes"]
        settings = {
            one: str(tmp_path / "kept") if value.startswith("/run/maskrelay/") else value
            for one, value in given.items()
        }
        read[name] = Settings.from_environment(settings)
    assert [name for name in read if read[name].metrics_key] == ["api"]
    assert [name for name in read if read[name].endpoint_proxy] == ["segment"]
    assert [name for name in read if read[name].callback_proxy] == ["api", "deliver"]
    assert [name for name in read if read[name].endpoint_cert_file] == ["segment"]
    assert [name for name in read if read[name].endpoint_cert_key_file] == ["segment"]
    assert [name for name in read if read[name].callback_cert_file] == ["deliver"]
    assert [name for name in read if read[name].callback_cert_key_file] == ["deliver"]
    shown = f"{files['MASKRELAY_METRICS_KEY_FILE']}:/run/maskrelay/metrics-key:ro"
    assert shown in services["prometheus"]["volumes"]
    scraped = yaml.safe_load((ROOT / "deploy" / "compose" / "prometheus.yml").read_text())["scrape_configs"][0]
    assert scraped["authorization"] == {"credentials_file": "/run/maskrelay/metrics-key"}


def test_only_the_object_stores_s3_port_can_be_reached_from_another_container():
    command = SERVICES["s3"]["command"]
    assert {"-ip.bind=127.0.0.1", "-s3.ip.bind=0.0.0.0", "-s3.port.iceberg=0", "-s3.port.lance=0"} <= set(command)
    assert [one for one in command if one.endswith("=0.0.0.0")] == ["-s3.ip.bind=0.0.0.0"]


def test_a_plain_up_leaves_out_what_only_watches():
    profiled = {name for name, service in SERVICES.items() if service.get("profiles")}
    assert profiled == {"prometheus", "grafana"}
    assert all(SERVICES[name]["profiles"] == ["observability"] for name in profiled)


def test_what_the_images_start_by_themselves_is_what_the_services_say():
    every = stages((ROOT / "Dockerfile").read_text())
    for name in ("api", "segment"):
        target = SERVICES[name]["build"]["target"]
        assert json.loads(dict(every[target][1])["CMD"]) == SERVICES[name]["command"]


def test_every_worker_of_the_file_has_a_role_and_every_role_a_worker():
    named = {SERVICES[name]["command"][1] for name in WORKERS}
    assert set(ROLES) <= named
    assert named - set(ROLES) <= {"assemble"}

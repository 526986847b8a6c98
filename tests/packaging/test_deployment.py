"""Compose file and chart name what exists: settings, modules, values."""

import importlib.util
import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from maskrelay.settings import Settings, name_of

ROOT = Path(__file__).parent.parent.parent
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
CHART = ROOT / "helm" / "maskrelay"
KNOWN = {name_of(field) for field in Settings.model_fields}


@pytest.mark.parametrize("service", ["api", "segment", "control", "deliver"])
def test_a_service_of_the_compose_file_starts_with_settings_that_exist(service):
    wanted = COMPOSE["services"][service]
    given = {name: re.sub(r"\$\{\w+:-(.*)\}", r"\1", value) for name, value in wanted["environment"].items()}
    settings = Settings.from_environment(given)
    if service == "api":
        settings.require("keys_file")
    if service == "segment":
        settings.require("endpoint_url", "endpoint_key")


@pytest.mark.parametrize("service", ["api", "segment", "control", "deliver", "simulator"])
def test_a_service_of_the_compose_file_runs_a_module_that_exists(service):
    python, flag, module, *_ = COMPOSE["services"][service]["command"]
    assert (python, flag) == ("python", "-m")
    assert importlib.util.find_spec(module) is not None


def test_redis_of_the_compose_file_persists_and_never_evicts():
    command = COMPOSE["services"]["redis"]["command"]
    assert command[command.index("--appendonly") + 1] == "yes"
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"


def test_the_charts_values_fit_their_schema_and_name_settings_that_exist():
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    jsonschema.validate(values, schema)
    assert values["settings"].keys() <= KNOWN
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**values, "replica": 1}, schema)


def test_the_charts_templates_name_settings_that_exist():
    named = set(re.findall(r"MASKRELAY_[A-Z0-9_]*[A-Z0-9]", (CHART / "templates" / "processes.yaml").read_text()))
    assert named <= KNOWN | {"MASKRELAY_"}
    assert len(named) >= 4

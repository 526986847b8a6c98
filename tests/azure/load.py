"""Loads descriptions of endpoints and deployments as `az ml` does. Runs in an environment of its own (`make azure`).

stdin: {"location": region, "cases": {name: {"endpoint": path, "deployment": path}}}; stdout: by name the two bodies
that Azure's own client would send, or `{"refused": message}` where its loaders refuse a description.
"""

import json
import logging
import sys
from typing import Any

from azure.ai.ml import load_online_deployment, load_online_endpoint
from azure.ai.ml.exceptions import ValidationException
from marshmallow.exceptions import ValidationError


def bodies(paths: dict[str, str], location: str) -> dict[str, Any]:
    try:
        endpoint = load_online_endpoint(paths["endpoint"])
        deployment = load_online_deployment(paths["deployment"])
        sent = {
            "endpoint": endpoint._to_rest_online_endpoint(location),
            "deployment": deployment._to_rest_object(location),
        }
    except (ValidationException, ValidationError) as error:
        return {"refused": str(error)}
    kinds = {"endpoint": type(endpoint).__name__, "deployment": type(deployment).__name__}
    return {"kinds": kinds} | {name: one.as_dict() for name, one in sent.items()}


def main() -> None:
    logging.disable(logging.WARNING)
    asked = json.load(sys.stdin)
    json.dump({name: bodies(paths, asked["location"]) for name, paths in asked["cases"].items()}, sys.stdout)


if __name__ == "__main__":
    main()

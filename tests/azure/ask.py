"""Reads an endpoint with Azure's own client from where AZUREML_DEV_URL_MFE points. Runs in an environment of its own.

stdin: {"token": text, "workspace": [subscription, group, name], "endpoint": name, "deployment": name}; stdout: what the
client makes of the answers. It sees that the stand-in of the control plane speaks as the real one does.
"""

import json
import logging
import sys
import time
from typing import Any

from azure.ai.ml import MLClient
from azure.core.credentials import AccessToken


class Given:
    """A credential that has one token."""

    def __init__(self, token: str) -> None:
        self._token = token

    def get_token(self, *_: str, **__: Any) -> AccessToken:
        return AccessToken(self._token, int(time.time()) + 3600)


def main() -> None:
    logging.disable(logging.WARNING)
    asked = json.load(sys.stdin)
    client = MLClient(Given(asked["token"]), *asked["workspace"])
    endpoint = client.online_endpoints.get(asked["endpoint"])
    deployment = client.online_deployments.get(asked["deployment"], asked["endpoint"])
    seen = {
        "endpoints": [one.name for one in client.online_endpoints.list()],
        "kinds": [type(endpoint).__name__, type(deployment).__name__],
        "auth": endpoint.auth_mode,
        "uri": endpoint.scoring_uri,
        "traffic": endpoint.traffic,
        "key": client.online_endpoints.get_keys(asked["endpoint"]).primary_key,
        "model": deployment.model,
        "machines": [deployment.instance_type, deployment.instance_count],
        "timeout_ms": deployment.request_settings.request_timeout_ms,
        "liveness_delay_s": deployment.liveness_probe.initial_delay,
    }
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    main()

"""Makes the secrets of the compose stack: `python first_secrets.py FOLDER VOLUME…`, at each start, as root.

What is there stays. Files and volumes are given to the user that the stack's processes run as.
"""  # noqa: INP001

import json
import os
import sys
from pathlib import Path

from maskrelay.stack.keys import kept_secret, write_keys, write_private

USER = 10001


def make_secrets(folder: Path, endpoint_key: str) -> None:
    """Every file that a service of the stack names under `/run/maskrelay`."""
    kept_secret(folder / "server-key")
    kept_secret(folder / "grafana-password")
    if not (folder / "keys.json").exists():  # once made, it is the operator's
        write_keys(folder / "keys.json", kept_secret(folder / "api-key", "mr_"))
    write_private(folder / "endpoint-key", endpoint_key + "\n")
    redis = kept_secret(folder / "redis-password")
    write_private(folder / "redis-url", f"redis://:{redis}@redis:6379/0\n")
    # Beside the stack's own, one that may only say PING: for the health check, which knows no password.
    write_private(folder / "valkey.conf", f"requirepass {redis}\nuser health on nopass -@all +ping\n")
    _make_s3(folder, kept_secret(folder / "s3-access", "mr"), kept_secret(folder / "s3-secret"))


def _make_s3(folder: Path, access: str, secret: str) -> None:
    """The object store's one account, as the server and as its callers read it."""
    account = {"name": "maskrelay", "credentials": [{"accessKey": access, "secretKey": secret}], "actions": ["Admin"]}
    write_private(folder / "s3.json", json.dumps({"identities": [account]}) + "\n")
    lines = ["[default]", f"aws_access_key_id = {access}", f"aws_secret_access_key = {secret}"]
    write_private(folder / "aws-credentials", "\n".join(lines) + "\n")


def give(places: list[Path]) -> None:
    """Root gives the folders, and what lies in the first, to the stack's user; anybody else keeps them."""
    if os.geteuid() == 0:
        for place in [*places, *places[0].iterdir()]:
            os.chown(place, USER, USER)


def main(places: list[Path]) -> None:
    make_secrets(places[0], os.environ["MASKRELAY_ENDPOINT_KEY"])
    give(places)


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])

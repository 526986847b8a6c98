"""Makes the secrets of the compose stack: `python first_secrets.py KEPT SERVICES VOLUME…`, at each start, as root.

KEPT holds every secret and is mounted nowhere else. SERVICES has a folder for each service, with the files that this
service needs and no others. What has been made stays. Files and volumes are given to the user of the stack's processes.
"""  # noqa: INP001

import json
import os
import sys
from pathlib import Path

from maskrelay.stack.local_secrets import kept_secret, write_keys, write_private

USER = 10001
_WORKER = ("redis-url", "server-key", "aws-credentials")
#: The files of each service, by the name of its volume.
HANDED_OUT = {
    "redis": ("valkey.conf",),
    "s3": ("s3.json",),
    "bucket": ("aws-credentials",),
    "api": (*_WORKER, "keys.json", "api-key"),
    "segment": (*_WORKER, "endpoint-key"),
    "assemble": _WORKER,
    "control": (*_WORKER, "keys.json"),
    "deliver": _WORKER,
    "grafana": ("grafana-password",),
}
#: Made once, and from then on the operator's to edit.
_EDITED = {"keys.json"}
#: The service whose copy the operator edits. The others get that copy at each start.
_EDITOR = "api"


def make_secrets(kept: Path, endpoint_key: str) -> None:
    """Make every secret that is not in `kept` yet."""
    kept_secret(kept / "server-key")
    kept_secret(kept / "grafana-password")
    if not (kept / "keys.json").exists():
        write_keys(kept / "keys.json", kept_secret(kept / "api-key", "mr_"))
    write_private(kept / "endpoint-key", endpoint_key + "\n")
    redis = kept_secret(kept / "redis-password")
    write_private(kept / "redis-url", f"redis://:{redis}@redis:6379/0\n")
    # A second user that may only send PING is for the health check, which knows no password.
    write_private(kept / "valkey.conf", f"requirepass {redis}\nuser health on nopass -@all +ping\n")
    _make_s3(kept, kept_secret(kept / "s3-access", "mr"), kept_secret(kept / "s3-secret"))


def _make_s3(kept: Path, access: str, secret: str) -> None:
    """The object store's one account, in the form that the server reads and in the form that its clients read."""
    account = {"name": "maskrelay", "credentials": [{"accessKey": access, "secretKey": secret}], "actions": ["Admin"]}
    write_private(kept / "s3.json", json.dumps({"identities": [account]}) + "\n")
    lines = ["[default]", f"aws_access_key_id = {access}", f"aws_secret_access_key = {secret}"]
    write_private(kept / "aws-credentials", "\n".join(lines) + "\n")


def hand_out(kept: Path, services: Path) -> None:
    """Copy to each service's folder the files it needs, and remove from it what it no longer needs."""
    for service, names in HANDED_OUT.items():
        folder = services / service
        for name in names:
            if name not in _EDITED or not (folder / name).exists():
                write_private(folder / name, (kept / name).read_text())
            elif folder != services / _EDITOR:
                write_private(folder / name, (services / _EDITOR / name).read_text())
        for file in folder.iterdir():
            if file.name not in names:
                file.unlink()


def give(places: list[Path]) -> None:
    """Give files and folders to the stack's user, which only root can do; otherwise they keep their owner."""
    if os.geteuid() == 0:
        for place in places:
            os.chown(place, USER, USER)


def main(kept: Path, services: Path, volumes: list[Path]) -> None:
    make_secrets(kept, os.environ["MASKRELAY_ENDPOINT_KEY"])
    hand_out(kept, services)
    folders = [kept, *(services / name for name in HANDED_OUT)]
    give([*volumes, *folders, *(file for folder in folders for file in folder.iterdir())])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), [Path(argument) for argument in sys.argv[3:]])

"""Credentials files for sources by reference."""

import json
from pathlib import Path
from typing import Any


def write_credentials(path: Path, *entries: dict[str, Any]) -> Path:
    """Write a credentials file as a whole, so that a reader never sees half of it. Return its path."""
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(entries))
    fresh.replace(path)
    return path


def folder_credential(folder: Path, name: str = "disk", **more: Any) -> dict[str, Any]:
    """Return the entry of a folder that the tenant `north` may read."""
    return {"name": name, "kind": "file", "reads": {"north": [f"{folder.as_uri()}/"]}, **more}


def s3_credential(bucket: str, endpoint_url: str, prefix: str = "", **more: Any) -> dict[str, Any]:
    """Return the entry of a prefix of a bucket that the tenant `north` may read, for the S3 server of the tests."""
    place = {"reads": {"north": [f"s3://{bucket}/{prefix}"]}, "endpoint_url": endpoint_url, "region": "us-east-1"}
    keys = {"access_key_id": "test", "secret": "test"}
    return {"name": "archive", "kind": "s3", **place, **keys, **more}

"""The environment of the other ways of `bench.resume`: made by pip from a lock file, outside of the project's own."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

_LOCK = Path(__file__).with_name("requirements.lock")


def python_of_rivals() -> Path:
    """Return the Python of the environment. Create it first, in the user's cache, if it does not exist (2 GB)."""
    digest = hashlib.sha256(_LOCK.read_bytes()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "maskrelay-bench" / f"rivals-{digest}-{sys.version_info.major}.{sys.version_info.minor}"
    python, ready = folder / "bin" / "python", folder / ".ready"
    if not ready.exists():
        print(f"making the environment {folder} …", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        subprocess.run([*install, "--requirement", str(_LOCK)], check=True)
        ready.touch()
    return python

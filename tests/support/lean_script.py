"""The scoring script of the lean deployment: its path, and the script itself as a module."""

from functools import cache
from pathlib import Path
from types import ModuleType

from simulator.scoring_script import load

ROOT = Path(__file__).resolve().parents[2]
LEAN_SCRIPT = ROOT / "maskrelay" / "admin" / "azure" / "lean_deployment" / "lean_scoring_script.py"


@cache
def lean_script() -> ModuleType:
    return load(LEAN_SCRIPT)

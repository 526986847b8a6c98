"""What a sweep process loads before it starts."""

import subprocess
import sys


def test_a_sweep_starts_without_the_libraries_of_the_stages():
    code = "import sys, worker.__main__; print(sorted({'numpy', 'pydicom', 'highdicom', 'PIL'} & sys.modules.keys()))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"

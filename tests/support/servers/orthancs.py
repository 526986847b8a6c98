"""A real Orthanc with its DICOMweb plugin as a child process, on free loopback ports, in a folder of its own."""

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from maskrelay.stack.loopback import free_port
from tests.support.checks.system_programs import system_file, system_program

_PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"


@contextmanager
def running_orthanc(folder: Path, password: str = "") -> Iterator[str]:
    """Yield the address of its DICOMweb service, which listens only on loopback.

    With a password, the user `maskrelay` needs it.
    """
    program = system_program("Orthanc", "orthanc")
    plugin = system_file(_PLUGIN, "orthanc-dicomweb")
    port = free_port()
    settings = {
        "Name": "maskrelay tests",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "HttpPort": port,
        "DicomServerEnabled": False,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "Plugins": [plugin],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    if password:
        settings |= {"AuthenticationEnabled": True, "RegisteredUsers": {"maskrelay": password}}
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "orthanc.log").open("wb") as log:
        child = subprocess.Popen([program, folder / "orthanc.json"], stdout=log, stderr=log)
        try:
            _await(child, f"http://127.0.0.1:{port}/system", folder / "orthanc.log")
            yield f"http://127.0.0.1:{port}/dicom-web"
        finally:
            child.terminate()
            child.wait(30)


def _await(child: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    ends = time.monotonic() + 60
    while not _answers(url):
        if child.poll() is not None or time.monotonic() > ends:
            raise RuntimeError(f"Orthanc does not answer; it ended with {child.poll()}: {log.read_text()[-2000:]}")
        time.sleep(0.05)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except urllib.error.HTTPError as error:
        return error.code == 401
    except (urllib.error.URLError, ConnectionError):
        return False

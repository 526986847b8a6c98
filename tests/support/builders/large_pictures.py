"""Images that take much memory to decode, and the peak memory of a segment worker that decodes them
at the same time.
"""

import struct
import zlib
from datetime import timedelta
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from tests.support.builders.pictures import chunk, saved
from tests.support.servers.simulators import eventually
from tests.support.servers.stacks import running_stack


def deep_colour(side: int) -> bytes:
    """Return a 16-bit PNG with alpha, of less than a megabyte."""
    row = bytes(1 + side * 8)
    packer = zlib.compressobj(9)
    body = b"".join([*(packer.compress(row) for _ in range(side)), packer.flush()])
    head = struct.pack(">IIBBBBB", side, side, 16, 6, 0, 0, 0)
    chunks = chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def progressive(side: int) -> bytes:
    rows = (np.arange(side) // 40 % 251).astype(np.uint8)
    picture = np.broadcast_to(rows[:, None, None], (side, side, 3))
    return saved(Image.fromarray(np.ascontiguousarray(picture)), "JPEG", progressive=True, subsampling=0)


def peak(process: psutil.Process) -> int:
    """Return the largest number of bytes that were resident at the same time."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) << 10


def peak_of_worst(folder: Path, side: int, *, limit: timedelta, **settings: object) -> int:
    """Return the total peak memory of the processes of a segment worker, in bytes, for images of side × side.

    Every image must succeed, and no child process may be ended by one.
    """
    about = {"decode_timeout_s": 200, "score_timeout_s": 30, "slot_lease_s": 40, **settings}
    clocks = {"soft_shutdown_s": 50, "termination_grace_s": 60}
    deep = deep_colour(side)
    with running_stack(folder / "data", **about, **clocks) as stack, stack.client() as client:
        parent = psutil.Process(stack.processes["segment"])
        assert eventually(parent.children, within_s=240)
        workers = {one.pid for one in parent.children(recursive=True)}
        few = client.submit([deep, progressive(side), deep], ["liver"], outputs=["mask", "overlay"])
        prompts = [f"organ {number}" for number in range(16)]
        many = client.submit([deep], prompts, outputs=["mask", "overlay"])
        ended = [client.wait(job.id, limit) for job in (few, many)]
        family = [parent, *parent.children(recursive=True)]
        assert {one.pid for one in family[1:]} == workers, "a child was ended"
        assert [job.state for job in ended] == ["succeeded", "succeeded"]
        return sum(map(peak, family))

"""Names of outcome parts as the ledger stores them: packed into 14 bytes instead of 32 characters, since a job may have
many parts.
"""

from maskrelay.contract import keys
from maskrelay.ledger.scripts import Scripts

_PAGE = 10_000


def pack(name: str) -> bytes:
    """A part's name, `{time}-{worker}-{seq}`, in 14 bytes of the same order. Raises ValueError for another name."""
    if not keys.PART.fullmatch(name):
        raise ValueError(f"not the name of a part: {name!r}")
    time, worker, seq = name.split("-")
    return int(time).to_bytes(7) + bytes.fromhex(worker) + int(seq).to_bytes(3)


def search(scripts: Scripts, job: str, packed: bytes) -> int:
    """Look for a part in a job's list, in pages: -1 if it is listed, else how many parts were looked at."""
    start = 0
    while page := scripts.ask("LRANGE", f"mr:job:{job}:parts", start, start + _PAGE - 1):
        if packed in page:
            return -1
        start += len(page)
    return start


def unpack(packed: bytes) -> str:
    """The name that `pack` packed."""
    return f"{int.from_bytes(packed[:7]):016d}-{packed[7:11].hex()}-{int.from_bytes(packed[11:]):06d}"

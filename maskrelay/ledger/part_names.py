"""The names of outcome parts as the ledger stores them.

A job may have many parts, so a name is stored in 14 bytes instead of 32.
"""

from maskrelay.contract.records import keys
from maskrelay.ledger.scripts import Scripts

_PAGE = 10_000


def pack(name: str) -> bytes:
    """Pack the name of a part, `{time}-{worker}-{seq}`, into 14 bytes that sort in the same order.

    Raises ValueError for any other name.
    """
    if not keys.PART.fullmatch(name):
        raise ValueError(f"not the name of a part: {name!r}")
    time, worker, seq = name.split("-")
    return int(time).to_bytes(7) + bytes.fromhex(worker) + int(seq).to_bytes(3)


def search(scripts: Scripts, job: str, packed: bytes) -> int:
    """Search the list of a job's parts for this part, page by page.

    Return -1 if it is listed, otherwise the number of parts that were searched.
    """
    start = 0
    while page := scripts.ask("LRANGE", f"mr:job:{job}:parts", start, start + _PAGE - 1):
        if packed in page:
            return -1
        start += len(page)
    return start


def unpack(packed: bytes) -> str:
    """Return the name that was packed into these bytes."""
    return f"{int.from_bytes(packed[:7]):016d}-{packed[7:11].hex()}-{int.from_bytes(packed[11:]):06d}"

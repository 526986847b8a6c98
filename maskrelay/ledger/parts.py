"""The names of outcome parts as the ledger keeps them: 14 bytes in place of 32 letters, since a job may have many."""

from maskrelay.contract import keys


def pack(name: str) -> bytes:
    """A part's name, `{time}-{worker}-{seq}`, in 14 bytes of the same order. Raises ValueError for another name."""
    if not keys.PART.fullmatch(name):
        raise ValueError(f"not the name of a part: {name!r}")
    time, worker, seq = name.split("-")
    return int(time).to_bytes(7) + bytes.fromhex(worker) + int(seq).to_bytes(3)


def unpack(packed: bytes) -> str:
    """The name that `pack` packed."""
    return f"{int.from_bytes(packed[:7]):016d}-{packed[7:11].hex()}-{int.from_bytes(packed[11:]):06d}"

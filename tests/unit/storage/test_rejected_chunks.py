"""Rejected lines of a run, which are written in chunks even if no line becomes an item."""

from pathlib import Path

from maskrelay.contract.records.runs import RejectedLine
from maskrelay.storage.file_store import FileStorage
from maskrelay.storage.submitted_items import MOST_REJECTED, ChunkWriter


def test_a_body_of_bad_lines_is_written_in_chunks(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path)
    writer = ChunkWriter(storage, "jobs/j/items-n/")
    for number in range(MOST_REJECTED + 5):
        writer.reject(RejectedLine(line=number + 1, code="line_invalid", detail="No JSON.", pointer="#"))
    assert len([key for key in storage.list("jobs/") if "rejected" in key]) == 1
    expansion = writer.close()
    assert (expansion.rejected, expansion.items, expansion.chunks) == (MOST_REJECTED + 5, 0, 2)

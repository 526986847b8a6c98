"""The numbers of a run's lines, which a writer of chunks counts, also after another one was interrupted."""

from pathlib import Path

from maskrelay.contract.records.job import Item
from maskrelay.contract.records.runs import RejectedLine
from maskrelay.storage.file_store import FileStorage
from maskrelay.storage.submitted_items import MOST_REJECTED, ChunkWriter, read_chunk


def test_a_body_of_bad_lines_is_written_in_chunks(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path)
    writer = ChunkWriter(storage, "jobs/j/items-n/")
    for number in range(MOST_REJECTED + 5):
        writer.reject(RejectedLine(line=number + 1, code="line_invalid", detail="No JSON.", pointer="#"))
    assert len([key for key in storage.list("jobs/") if "rejected" in key]) == 1
    expansion = writer.close()
    assert (expansion.rejected, expansion.items, expansion.chunks) == (MOST_REJECTED + 5, 0, 2)


def test_a_writer_counts_the_items_of_all_chunks_before_it(tmp_path: Path) -> None:
    storage, chunks = FileStorage(tmp_path), "jobs/j/items-n/"
    item = Item(source="s3://b/1.png", size=0, sha256="", custom_id="1", prompts=("a",))
    writer = ChunkWriter(storage, chunks)
    for _ in range(2):
        writer.add(item)
    writer.reject(RejectedLine(line=3, code="line_invalid", detail="No JSON.", pointer="#"))
    assert writer.end_before("s3://b/2.txt")
    before, _ = read_chunk(storage, chunks, 0)
    resumed = ChunkWriter(storage, chunks, 1, before)
    resumed.add(item)
    expansion = resumed.close()
    assert (expansion.lines, expansion.items, expansion.rejected) == (4, 3, 1)
    assert read_chunk(storage, chunks, 1)[0].first == 2

"""The cost of the result tables: the CPU time to write a row, and the time until readers have opened the table.

    python -m bench.tables [--rows 1000000] [--prompts 4] [--jobs 10]

The items are those of finished jobs, with run lengths of realistic size. The rows are written as the workers write
them, from the lines of the result to the commit, into a folder. Each reader runs in a new process, and counts the rows
and the masks of one prompt.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.figures import print_head, print_table
from maskrelay.contract.records.item_lines import ItemLine
from maskrelay.contract.records.outcomes import MaskOutcome, Outcome
from maskrelay.contract.tables.table_rows import RowContext, mask_rows
from maskrelay.contract.tables.table_schema import MASKS
from maskrelay.delta.delta_table import DeltaTable, TablePart
from maskrelay.delta.parquet_rows import parquet_files
from maskrelay.imaging.masks.mask import Mask
from maskrelay.imaging.masks.rle import encode_rle
from maskrelay.storage.file_store import FileStorage

#: The number of different masks.
_SHAPES = 256
#: For each reader: what it imports, how it opens the table and counts its rows, and a query.
_READERS = {
    "deltalake": (
        "from deltalake import DeltaTable; import pyarrow.dataset as ds",
        "table = DeltaTable(url).to_pyarrow_dataset(); rows = table.count_rows()",
        "table.count_rows(filter=ds.field('prompt') == prompt)",
    ),
    "polars": (
        "import polars as pl, deltalake",
        "table = pl.scan_delta(url); rows = table.select(pl.len()).collect().item()",
        "table.filter(pl.col('prompt') == prompt).select(pl.col('area_px').sum()).collect().item()",
    ),
    "duckdb": (
        "import duckdb; from deltalake import DeltaTable",
        "t = DeltaTable(url).file_uris(); [[rows]] = duckdb.sql(f'select count(*) from read_parquet({t})').fetchall()",
        "duckdb.sql(f\"select sum(area_px) from read_parquet({t}) where prompt = '{prompt}'\").fetchall()",
    ),
}


def lines(job: int, items: int, prompts: int) -> list[bytes]:
    """Return the lines of the result of a job with this number of photographs."""
    pixels = np.zeros((1024, 1024), np.bool_)
    y, x = np.ogrid[:1024, :1024]
    found = []
    for shape in range(_SHAPES):
        pixels[:] = (y - 500) ** 2 + (x - 400 - shape) ** 2 < (100 + shape) ** 2
        rle, area = encode_rle(Mask.of(pixels.astype(np.uint8) * np.uint8(255))), int(pixels.sum())
        masks = tuple(_mask(rle, area, number) for number in range(prompts))
        outcome = Outcome(
            frame=0,
            item=0,
            state="succeeded",
            masks=masks,
            endpoint="east",
            model_version="2",
            wire="image2d",
            timings_ms={"score": 812.5, "decode": 30.25, "store": 12.0},
        )
        found.append(outcome)
    texts = []
    for item in range(items):
        outcome = found[item % len(found)].model_copy(update={"frame": item, "item": item})
        line = ItemLine(item=item, custom_id=f"study-{job}-{item}", state="succeeded", outcomes=(outcome,))
        texts.append(line.model_dump_json(exclude_none=True).encode())
    return texts


def _mask(rle: object, area: int, number: int) -> MaskOutcome:
    return MaskOutcome(
        prompt=f"target {number} in abdomen CT",
        category="other organ",
        empty=False,
        area_px=area,
        area_mm2=area * 0.25,
        bbox=(300, 400, 200, 200),
        centroid=(400.5, 500.25),
        components=1,
        mean_probability=0.93,
        rle=rle,
    )


def written(folder: Path, rows: int, prompts: int, jobs: int) -> tuple[float, int]:
    """Write the table. Return the CPU milliseconds for each row, and the size of the table in bytes."""
    storage, spent = FileStorage(folder), 0.0
    items = rows // prompts // jobs
    for job in range(jobs):
        texts = lines(job, items, prompts)
        began = time.process_time()
        table = DeltaTable(storage, "masks/", "masks", MASKS)
        context = RowContext(f"job-{job}")

        def job_rows(texts: list[bytes] = texts, context: RowContext = context) -> Iterator[dict[str, object]]:
            for text in texts:
                yield from mask_rows(context, ItemLine.model_validate_json(text))

        table.add(TablePart(f"job-{job}", 1, parquet_files(MASKS, job_rows())))
        spent += time.process_time() - began
    size = sum(path.stat().st_size for path in (folder / "masks").glob("*.parquet"))
    return spent * 1000 / (items * prompts * jobs), size


def opened(reader: str, url: str) -> list[float]:
    """Return the number of rows, and the seconds that a new process takes to open the table and for one query."""
    imports, opening, query = _READERS[reader]
    code = f"""
import json, time
{imports}
url, prompt = {url!r}, "target 1 in abdomen CT"
began = time.perf_counter()
{opening}
opened = time.perf_counter()
{query}
print(json.dumps([rows, opened - began, time.perf_counter() - opened]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    figures: list[float] = json.loads(done.stdout)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--prompts", type=int, default=4)
    parser.add_argument("--jobs", type=int, default=10)
    given = parser.parse_args()
    print_head(f"Result tables, {given.rows} rows of {given.jobs} jobs", 1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        milliseconds, size = written(folder, given.rows, given.prompts, given.jobs)
        print(f"CPU to write a row: {milliseconds:.3f} ms; {size / given.rows:.0f} bytes a row\n")
        found = {reader: opened(reader, str(folder / "masks")) for reader in _READERS}
        print_table(
            ["reader", "rows", "open, s", "query, s"],
            [
                [reader, f"{rows:.0f}", f"{seconds:.2f}", f"{query:.2f}"]
                for reader, (rows, seconds, query) in found.items()
            ],
        )


if __name__ == "__main__":
    main()

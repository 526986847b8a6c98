"""Segment every PNG below a folder, and write one row per mask: python folder_of_images.py scans masks.csv "a prompt".

Run it again after an interruption: the jobs of the first run are found, and nothing is scored twice.
"""

import csv
import sys
from pathlib import Path

from maskrelay.client import Client

folder, table, *prompts = sys.argv[1:]
with Client() as client, Path(table).open("w", newline="", encoding="utf-8") as file:
    rows = csv.writer(file)
    rows.writerow(["source", "prompt", "area_px", "error"])
    for item in client.map(sorted(Path(folder).rglob("*.png")), prompts, outputs=["mask"]):
        if item.error is not None:
            rows.writerow([item.source_name, None, None, item.error.code])
        rows.writerows([item.source_name, mask.prompt, mask.area_px, None] for mask in item.masks)

"""Handle each item as soon as it has ended, with asyncio: python as_they_complete.py "a prompt" a.png b.png …"""

import asyncio
import sys

from maskrelay.client import AsyncClient


async def main(prompt: str, files: list[str]) -> None:
    async with AsyncClient() as client:
        job = await client.submit(files, prompt, outputs=["mask"])
        async for item in job.items(as_completed=True):
            if item.error is not None:
                print(item.source_name, "failed:", item.error.code)
            else:
                pixels = await item.mask(prompt)
                print(item.source_name, int(pixels.sum()), "pixels")


asyncio.run(main(sys.argv[1], sys.argv[2:]))

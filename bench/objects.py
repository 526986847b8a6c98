"""Compare the CPU time that boto3 and obstore take to send a request for one small object in a bucket.

`python -m bench.objects [--calls 200] [--bytes 2000] [--runs 5]` starts an S3 server (moto) as a child process. Both
libraries send it the same requests in turns. The figures are the CPU time of all threads of this process.
"""

import argparse
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Iterator

from bench.figures import median, print_head, print_table, spread
from maskrelay.storage.s3 import S3Storage
from tests.support.servers.s3_servers import RunningS3, running_s3

WARM_UP = 20
Times = dict[tuple[str, str], list[float]]


def calls(storage: S3Storage, body: bytes) -> Iterator[tuple[str, Callable[[int], object]]]:
    """Yield the kinds of requests in an order in which they can be sent. The argument is the number of the object."""
    yield "create", lambda number: storage.create(f"jobs/{number}", body, "application/json")
    yield "put", lambda number: storage.put(f"jobs/{number}", body)
    yield "get", lambda number: storage.get(f"jobs/{number}")
    yield "get a range", lambda number: storage.get(f"jobs/{number}", 100, 500)
    yield "head", lambda number: storage.head(f"jobs/{number}")
    yield "list a page", lambda _: list(storage.list("jobs/"))
    yield "delete", lambda number: storage.delete(f"jobs/{number}")


def measure(server: RunningS3, count: int, body: bytes, times: Times) -> None:
    """Send each kind of request `count` times with each library. Add the mean CPU ms of a request to `times`."""
    stores = {
        name: S3Storage.open(
            server.bucket, f"{secrets.token_hex(4)}/", server.endpoint_url, before_fork=name == "boto3"
        )
        for name in ("boto3", "obstore")
    }
    for storage in stores.values():
        for number in range(WARM_UP):
            storage.put(f"warm-up/{number}", body)
    kinds = {name: dict(calls(storage, body)) for name, storage in stores.items()}
    for kind in kinds["boto3"]:
        for name, of in kinds.items():
            began = time.process_time()
            for number in range(count):
                of[kind](number)
            times[kind, name].append((time.process_time() - began) * 1000 / count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--bytes", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    times: Times = defaultdict(list)
    print_head(f"CPU ms of a request for an object of {given.bytes} bytes", given.runs)
    with running_s3() as server:
        for _ in range(given.runs):
            measure(server, given.calls, secrets.token_bytes(given.bytes), times)
    rows = []
    for kind in dict.fromkeys(kind for kind, _ in times):
        boto3s, ours = times[kind, "boto3"], times[kind, "obstore"]
        rows.append([kind, spread(boto3s, 2), spread(ours, 2), f"{median(boto3s) / median(ours):.1f}"])
    print_table(["request", "boto3", "obstore", "ratio"], rows)
    print("In both columns, boto3 lists the objects, because obstore cannot skip the keys of others.")


if __name__ == "__main__":
    main()

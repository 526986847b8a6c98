"""The keys of all objects in storage. They consist of fixed names, ids and numbers, and contain no text of a caller.

An id consists of 26 characters of lower-case base32. The name of an outcome part is `{time}-{worker}-{number}`.
"""

import hashlib
import hmac
import re
import secrets

ID = re.compile(r"[a-z2-7]{26}")
PART = re.compile(r"[0-9]{16}-[0-9a-f]{8}-[0-9]{6}")
TENANT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
ENDPOINT_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
EVENT = re.compile(r"evt_[0-9a-f]{32}")
AUDIT_FILE = re.compile(r"audit/([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2})/((?:api|worker)-[0-9a-f]{16})/([0-9]{9})\.ndjson")
_EVENT_NAME = re.compile(rf"events/({EVENT.pattern})\.json")
_ANSWER = re.compile(r"/([0-9]+)\.[0-9a-f]+\.answer\Z")
_PACK = re.compile(rf"jobs/({ID.pattern})/packs/({PART.pattern})\.bin")
_SCORE = re.compile(rf"jobs/({ID.pattern})/artifacts/([0-9]+)/([0-9]+)-([0-9]+)\.([0-9a-f]{{8}})\.score")
_UPLOAD = re.compile(rf"uploads/{TENANT.pattern}/{ID.pattern}(?=\.json\Z|\.used/|\Z)")
_RESULT = re.compile(rf"jobs/({ID.pattern})/result\.json")
LIVE = "live/"
CANCEL = ".cancel"
REMOVING = "removing/"
SWEEPING = "sweeping/"
SENDERS = "senders/"
#: The object with the id of the store. The Redis database of the same deployment contains the same id.
STORE_ID = "store/id.json"
JOBS = "jobs/"
WATCHES = "watches/"
UPLOADS = "uploads/"
AUDIT = "audit/"
TABLES = "tables/"
REUSE = "reuse/"
#: The prefix of objects that are written and deleted again to test the store.
TRIALS = "trials/"
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"


def _fixed(number: int, width: int) -> str:
    """Return the number with leading zeros, so that the alphabetical order of names is the order of their numbers.

    Raises ValueError if the number is negative or has more digits than `width`.
    """
    if not 0 <= number < 10**width:
        raise ValueError(f"not a number of {width} digits")
    return f"{number:0{width}d}"


def new_id() -> str:
    """Return a random id of 130 bits."""
    return id_of_bytes(secrets.token_bytes(32))


def id_of_bytes(digest: bytes) -> str:
    """Return the id for a digest of 32 bytes."""
    number = int.from_bytes(digest[:17])
    return "".join(_LETTERS[(number >> (5 * place)) & 31] for place in range(26))


def derived_id(server_key: bytes, meaning: bytes) -> str:
    """Return the id for `meaning`, which only the holder of the server key can compute."""
    return id_of_bytes(hmac.digest(server_key, meaning, hashlib.sha256))


def watches(tenant: str) -> str:
    return f"{WATCHES}{tenant}/"


def watch(tenant: str, watch_id: str) -> str:
    return f"{watches(tenant)}{watch_id}.json"


def watch_of(key: str) -> str:
    """Return the id of the watch with this key."""
    return key.rsplit("/", 1)[1].removesuffix(".json")


def upload(tenant: str, name: str) -> str:
    return f"{UPLOADS}{tenant}/{name}"


def upload_facts(upload_key: str) -> str:
    """Return the key of the description of an upload. Only an upload with a description can be used by its id."""
    return f"{upload_key}.json"


def upload_use(upload_key: str, job: str) -> str:
    return f"{upload_key}.used/{job}"


def upload_of(key: str) -> str | None:
    """Return the key of the upload to which the object with this key belongs. Return None if it belongs to no upload.

    An upload belongs to itself.
    """
    known = _UPLOAD.match(key)
    return known[0] if known else None


def live(job: str) -> str:
    return f"{LIVE}{job}"


def live_cancel(job: str) -> str:
    return f"{LIVE}{job}{CANCEL}"


def accepted(job: str) -> str:
    return f"jobs/{job}/job.json"


def item_lists(job: str) -> str:
    """Return the prefix of the keys of a job's lists of items.

    Some of the lists may be from submissions that were not accepted.
    """
    return f"jobs/{job}/items-"


def items(job: str, nonce: str) -> str:
    return f"{item_lists(job)}{nonce}.ndjson"


def item_chunks(job: str, nonce: str) -> str:
    """Return the prefix of the keys of a run's chunks of items, and of its rejected lines."""
    return f"{item_lists(job)}{nonce}/"


def item_chunk(prefix: str, chunk: int) -> str:
    return f"{prefix}{_fixed(chunk, 6)}.ndjson"


def expansion(prefix: str) -> str:
    """Return the key of the numbers of a run's lines. It exists if the plan stage has read the lines."""
    return f"{prefix}expansion.json"


def rejected_lines(prefix: str) -> str:
    """Return the prefix of the keys of a run's rejected lines, without the last part of the keys."""
    return f"{prefix}rejected-"


def rejected_chunk(prefix: str, chunk: int) -> str:
    """Return the key of the lines that were rejected while this chunk was made. It exists only if there are any."""
    return f"{rejected_lines(prefix)}{_fixed(chunk, 6)}.ndjson"


def chunk_of(key: str) -> int:
    """Return the number of the chunk to which these rejected lines belong."""
    return int(key.rsplit("-", 1)[1].removesuffix(".ndjson"))


def cancel(job: str) -> str:
    return f"jobs/{job}/cancel.json"


def halted(job: str) -> str:
    """Return the key of the record of a job that ended without a result.

    While this record exists, the job has ended.
    """
    return f"jobs/{job}/halted.json"


def gone(job: str) -> str:
    return f"jobs/{job}/gone.json"


def removing(job: str) -> str:
    """Return the key of the marker for a deleted job whose objects are not all removed yet."""
    return f"{REMOVING}{job}"


def sweeping(job: str) -> str:
    """Return the key of the marker for a job that may have orphans, which are objects to which no outcome refers.

    A job gets the marker when it ends, or when the ledger refuses an outcome. The orphans are removed as soon as no
    process can write further objects of the job.
    """
    return f"{SWEEPING}{job}"


def redriven(job: str, new: str) -> str:
    """Return the key of the marker which says that job `new` redrives the finished job `job`.

    The marker is written before job `new` is accepted, so job `new` may not exist.
    """
    return f"jobs/{job}/redriven/{new}"


def objects(job: str) -> str:
    """Return the prefix of the keys of all objects that belong only to this job."""
    return f"{JOBS}{job}/"


def result(job: str) -> str:
    return f"jobs/{job}/result.json"


def finished_job(key: str) -> str | None:
    """Return the id of the job whose result has this key, or None if it is the key of another object."""
    known = _RESULT.fullmatch(key)
    return known[1] if known else None


def frames(job: str) -> str:
    return f"jobs/{job}/frames/"


def frame_part(job: str, part: int) -> str:
    return f"{frames(job)}{_fixed(part, 6)}.ndjson"


def item_parts(job: str) -> str:
    return f"jobs/{job}/plan/"


def item_part(job: str, part: int) -> str:
    """Return the key of the object with the planned items whose first frame is in part `part` of the plan."""
    return f"{item_parts(job)}{_fixed(part, 6)}.ndjson"


def survey_part(job: str, part: int, chunk: int | None = None) -> str:
    """Return the key of a part of the survey. A part describes a few of the submitted items.

    `chunk` is the chunk of the run to which they belong, or None if the job is not a run.
    """
    return f"{_survey(job, chunk)}{_fixed(part, 6)}.ndjson"


def survey_begun(job: str, part: int, chunk: int | None = None) -> str:
    """Return the key of an unfinished part of the survey.

    The object is written if planning stops in the middle of the part to let other steps run.
    """
    return f"{_survey(job, chunk)}{_fixed(part, 6)}.begun.ndjson"


def _survey(job: str, chunk: int | None) -> str:
    return f"jobs/{job}/survey/" if chunk is None else f"jobs/{job}/survey/chunk-{_fixed(chunk, 6)}-"


def chunk_starts(job: str) -> str:
    """Return the prefix of the keys of the records that say with which numbers the chunks of a run begin."""
    return f"jobs/{job}/survey/start-"


def chunk_start(job: str, chunk: int) -> str:
    return f"{chunk_starts(job)}{_fixed(chunk, 6)}.json"


def dry_run_counts(job: str) -> str:
    """Return the key of what a dry run has counted so far."""
    return f"jobs/{job}/survey/counts.json"


def forecast(job: str) -> str:
    """Return the key of the forecast of a dry run."""
    return f"jobs/{job}/forecast.json"


def ignored(job: str, chunk: int | None = None) -> str:
    """Return the key of the list of files that did not become items. In a run, each chunk has a list.

    If the list would be empty, the object does not exist.
    """
    return f"jobs/{job}/survey/ignored.ndjson" if chunk is None else f"{ignored_lists(job)}{_fixed(chunk, 6)}.ndjson"


def ignored_lists(job: str) -> str:
    """Return the prefix of the keys of the lists of a run's ignored files."""
    return f"jobs/{job}/survey/ignored-"


def reuse(digest: str) -> str:
    """Return the key of what an earlier job has found out, by the digest of what it is about."""
    return f"{REUSE}{digest}.json"


def window(job: str, item: int) -> str:
    """Return the key of the intensity limits of one item, which are computed over all its pixels."""
    return f"jobs/{job}/survey/window-{_fixed(item, 9)}.json"


def outcomes(job: str) -> str:
    return f"jobs/{job}/outcomes/"


def outcome_part(job: str, part: str) -> str:
    return f"{outcomes(job)}{part}.ndjson"


def outcome_part_name(at_ms: int, worker: str, number: int) -> str:
    """Return the name of an outcome part. It consists of the time, the worker, and the number of the part.

    The alphabetical order of names is the order of their times. `at_ms` is a time of the clock of Redis, `worker`
    consists of 8 hex digits, and `number` counts the parts of the worker.
    """
    return f"{_fixed(at_ms, 16)}-{worker}-{_fixed(number, 6)}"


def part_of(key: str) -> str:
    """Return the name of the outcome part with this key."""
    return key.rsplit("/", 1)[1].removesuffix(".ndjson")


def artifacts(job: str) -> str:
    return f"jobs/{job}/artifacts/"


def mask(job: str, item: int, frame: int, prompt: int, attempt: str) -> str:
    return f"{artifacts(job)}{item}/{frame}-{prompt}.{attempt}.mask.png"


def probability(job: str, item: int, frame: int, prompt: int, attempt: str) -> str:
    return f"{artifacts(job)}{item}/{frame}-{prompt}.{attempt}.probability.png"


def overlay(job: str, item: int, frame: int, attempt: str) -> str:
    return f"{artifacts(job)}{item}/{frame}.{attempt}.overlay.png"


def preview(job: str, item: int, frame: int, attempt: str) -> str:
    return f"{artifacts(job)}{item}/{frame}.{attempt}.preview.webp"


def thumbnail(job: str, item: int, frame: int, attempt: str) -> str:
    return f"{artifacts(job)}{item}/{frame}.{attempt}.thumbnail.png"


def whole(job: str, item: int, name: str, attempt: str) -> str:
    """Return the key of a whole-item file, such as `labels.nii.gz`."""
    return f"{artifacts(job)}{item}/{attempt}.{name}"


def assembled(job: str) -> str:
    return f"jobs/{job}/assembled/"


def assembled_item(job: str, item: int) -> str:
    """Return the key of the record of an item's whole-item files. It is written once, when all files exist."""
    return f"{assembled(job)}{_fixed(item, 9)}.json"


def packs(job: str) -> str:
    return f"jobs/{job}/packs/"


def pack(job: str, part: str) -> str:
    """Return the key of the object that contains the artifacts of all outcomes in one part, concatenated."""
    return f"{packs(job)}{part}.bin"


def score_answer(job: str, item: int, frame: int, score: int, attempt: str) -> str:
    """Return the key of the endpoint's answer to a score, which is kept so that the same score need not be sent again.

    `score` is the number of the score among those of the frame. Only the answers of the interactive lane are objects of
    their own.
    """
    return f"{artifacts(job)}{item}/{frame}-{score}.{attempt}.score"


def place_of_answer(key: str) -> tuple[str, str | tuple[int, int, str, int]]:
    """Return the job of a kept answer, and where it is: the name of the part, or (item, frame, attempt, score).

    Raises ValueError if no answer is kept under this key.
    """
    if known := _PACK.fullmatch(key):
        return known[1], known[2]
    if known := _SCORE.fullmatch(key):
        return known[1], (int(known[2]), int(known[3]), known[5], int(known[4]))
    raise ValueError("not the key of a kept answer")


def rejected_answer(job: str, item: int, frame: int, attempt: str) -> str:
    """Return the key of an invalid response of an endpoint. The object contains the response as it was received."""
    return f"{artifacts(job)}{item}/{frame}.{attempt}.answer"


def answered_frame(key: str) -> int | None:
    """Return the frame of the invalid response with this key. Return None if the key is that of another object."""
    known = _ANSWER.search(key)
    return int(known[1]) if known else None


def finals(job: str) -> str:
    return f"jobs/{job}/final/"


def final(job: str, nonce: str, name: str) -> str:
    return f"{finals(job)}{nonce}/{name}"


def unfinished(job: str) -> str:
    """Return the prefix of the keys of a large job's unfinished result.

    These objects are not used any more once the result exists.
    """
    return f"jobs/{job}/unfinished/"


def unfinished_object(job: str, lines: str, name: str) -> str:
    """Return the key of an object of an unfinished result.

    `lines` consists of 16 hex digits. It identifies the set of visible outcomes from which the result is made.
    """
    return f"{unfinished(job)}{lines}/{name}"


def stretch(number: int, kind: str) -> str:
    """Return the name of an object that belongs to stretch `number` of an unfinished result (see `stretches`)."""
    return f"{_fixed(number, 6)}.{kind}"


def reviews(job: str) -> str:
    return f"jobs/{job}/reviews/"


def reviews_of_item(job: str, reader: str, item: int) -> str:
    """Return the prefix of the keys of a reader's reviews of an item. `reader` consists of 16 hex digits."""
    return f"{reviews(job)}{reader}/{_fixed(item, 9)}."


def review(job: str, reader: str, item: int, revision: int, mark: str) -> str:
    """Return the key of a review. `mark` is its verdict, grade and flag in three characters (see `reviews`)."""
    return f"{reviews_of_item(job, reader, item)}{_fixed(revision, 6)}.{mark}.json"


def event(job: str, event_id: str) -> str:
    return f"jobs/{job}/events/{event_id}.json"


def event_of(name: str) -> str | None:
    """Return the id of the event whose body has this name.

    Return None for a name of another object. `name` is the end of a key, after the prefix of the job.
    """
    known = _EVENT_NAME.fullmatch(name)
    return known[1] if known else None


def delivered(job: str, event_id: str) -> str:
    return f"jobs/{job}/delivered/{event_id}"


def tabulated(job: str) -> str:
    """Return the key of the object which says that the result tables have all rows of the job.

    It exists only for jobs with rows in the tables.
    """
    return f"jobs/{job}/tabulated.json"


def tables(tenant: str) -> str:
    """Return the prefix of the tenant's result tables, unless the tenant has them in a store of its own."""
    return f"{TABLES}{tenant}/"


def stored(job: str) -> str:
    return f"jobs/{job}/stored/"


def stored_item(job: str, item: int) -> str:
    """Return the key of the record that an item's segmentation is in the archive, or was refused there."""
    return f"{stored(job)}{_fixed(item, 9)}.json"


def stored_position(job: str) -> str:
    """Return the key of the record of how far the files of the job are written to a store (`StoredPosition`)."""
    return f"{stored(job)}position"


def sender(child: str) -> str:
    """Return the key of the object that a segment child process creates before it sends its first score.

    The object contains the names of the endpoints to which the process sends requests.
    """
    return f"{SENDERS}{child}"


def endpoint_used(endpoint: str) -> str:
    """Return the key of the object that is created before the first score is ever sent to an endpoint.

    While the object does not exist, no request to the endpoint can be in flight.
    """
    return f"endpoints/{endpoint}.used"


def audit_hour(hour: str) -> str:
    """Return the prefix of the keys of the audit files of an hour in UTC, such as `2026-11-25T09`."""
    return f"{AUDIT}{hour}/"


def audit_file(hour: str, process: str, number: int) -> str:
    """Return the key of file `number` of a process's audit log. The numbering does not start again in a new hour."""
    return f"{audit_hour(hour)}{process}/{_fixed(number, 9)}.ndjson"

"""The keys of all objects in storage. They contain names of this project, ids and numbers, but no text of a caller.

An id consists of 26 characters of lower-case base32. The name of an outcome part is `{time}-{worker}-{number}`.
"""

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
UPLOADS = "uploads/"
AUDIT = "audit/"
#: The prefix of objects that are written and deleted again to test the store.
TRIALS = "trials/"
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"


def _fixed(number: int, width: int) -> str:
    """Return the number with leading zeros, so names are sorted by number.

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


def upload(tenant: str, name: str) -> str:
    return f"{UPLOADS}{tenant}/{name}"


def upload_facts(upload_key: str) -> str:
    """Return the key of the object that describes an upload to which jobs may refer by its id."""
    return f"{upload_key}.json"


def upload_use(upload_key: str, job: str) -> str:
    return f"{upload_key}.used/{job}"


def upload_of(key: str) -> str | None:
    """Return the key of the upload that this object is, or to which it belongs. Return None for any other object."""
    known = _UPLOAD.match(key)
    return known[0] if known else None


def live(job: str) -> str:
    return f"{LIVE}{job}"


def live_cancel(job: str) -> str:
    return f"{LIVE}{job}{CANCEL}"


def accepted(job: str) -> str:
    return f"jobs/{job}/job.json"


def item_lists(job: str) -> str:
    """Return the prefix of the keys of a job's lists of items. One may be from a submission that was not accepted."""
    return f"jobs/{job}/items-"


def items(job: str, nonce: str) -> str:
    return f"{item_lists(job)}{nonce}.ndjson"


def cancel(job: str) -> str:
    return f"jobs/{job}/cancel.json"


def halted(job: str) -> str:
    """Return the key of the reason why a job ended without a result. While the object exists, the job has ended."""
    return f"jobs/{job}/halted.json"


def gone(job: str) -> str:
    return f"jobs/{job}/gone.json"


def removing(job: str) -> str:
    """Return the key of the marker for a deleted job whose objects are not all removed yet."""
    return f"{REMOVING}{job}"


def sweeping(job: str) -> str:
    """Return the key of the marker for a job that may have objects to which no outcome refers.

    A job gets the marker when it ends, or when the ledger refuses an outcome. Such objects are removed when nothing
    more is written for the job.
    """
    return f"{SWEEPING}{job}"


def redriven(job: str, new: str) -> str:
    """Return the key of the marker that says that items of the finished job `job` were redriven as the job `new`.

    The marker is written before the new job is accepted, so the job may not exist.
    """
    return f"jobs/{job}/redriven/{new}"


def objects(job: str) -> str:
    """Return the prefix of the keys of all objects that belong only to this job."""
    return f"{JOBS}{job}/"


def result(job: str) -> str:
    return f"jobs/{job}/result.json"


def finished_job(key: str) -> str | None:
    """Return the job whose result this object is, or None for any other object."""
    known = _RESULT.fullmatch(key)
    return known[1] if known else None


def frames(job: str) -> str:
    return f"jobs/{job}/frames/"


def frame_part(job: str, part: int) -> str:
    return f"{frames(job)}{_fixed(part, 6)}.ndjson"


def item_parts(job: str) -> str:
    return f"jobs/{job}/plan/"


def item_part(job: str, part: int) -> str:
    """Return the key of the planned items whose first frame is in part `part` of the plan."""
    return f"{item_parts(job)}{_fixed(part, 6)}.ndjson"


def survey_part(job: str, part: int) -> str:
    """Return the key of a part of the survey. A part describes a few of the submitted items."""
    return f"jobs/{job}/survey/{_fixed(part, 6)}.ndjson"


def survey_begun(job: str, part: int) -> str:
    """Return the key of an unfinished part of the survey.

    It is written when planning stops in the middle of a part, to let other jobs be planned.
    """
    return f"jobs/{job}/survey/{_fixed(part, 6)}.begun.ndjson"


def ignored(job: str) -> str:
    """Return the key of the list of files that did not become items. If there are none, there is no such object."""
    return f"jobs/{job}/survey/ignored.ndjson"


def window(job: str, item: int) -> str:
    """Return the key of the intensity limits of one item, which are computed over all its pixels."""
    return f"jobs/{job}/survey/window-{_fixed(item, 9)}.json"


def outcomes(job: str) -> str:
    return f"jobs/{job}/outcomes/"


def outcome_part(job: str, part: str) -> str:
    return f"{outcomes(job)}{part}.ndjson"


def outcome_part_name(at_ms: int, worker: str, number: int) -> str:
    """Return the name of an outcome part: the time of the Redis clock, the worker, and the worker's part number.

    Names are sorted by time. `worker` consists of 8 hex digits.
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


def rejected_answer(job: str, item: int, frame: int, attempt: str) -> str:
    """Return the key of an invalid response of an endpoint. The object contains the response as it was received."""
    return f"{artifacts(job)}{item}/{frame}.{attempt}.answer"


def answered_frame(key: str) -> int | None:
    """Return the frame of the invalid response with this key, or None if it is the key of another object."""
    known = _ANSWER.search(key)
    return int(known[1]) if known else None


def finals(job: str) -> str:
    return f"jobs/{job}/final/"


def final(job: str, nonce: str, name: str) -> str:
    return f"{finals(job)}{nonce}/{name}"


def unfinished(job: str) -> str:
    """Return the prefix of the keys of a large job's unfinished result. They are unused when the result exists."""
    return f"jobs/{job}/unfinished/"


def unfinished_object(job: str, lines: str, name: str) -> str:
    """Return the key of an object of an unfinished result.

    `lines` consists of 16 hex digits that identify the choice of visible lines on which the result is based.
    """
    return f"{unfinished(job)}{lines}/{name}"


def stretch(number: int, kind: str) -> str:
    """Return the name of an object that belongs to stretch `number` of an unfinished result (see `stretches`)."""
    return f"{_fixed(number, 6)}.{kind}"


def event(job: str, event_id: str) -> str:
    return f"jobs/{job}/events/{event_id}.json"


def event_of(name: str) -> str | None:
    """Return the event whose body has this name among the objects of its job, or None for another name."""
    known = _EVENT_NAME.fullmatch(name)
    return known[1] if known else None


def delivered(job: str, event_id: str) -> str:
    return f"jobs/{job}/delivered/{event_id}"


def sender(child: str) -> str:
    """Return the key of the object that a segment child process creates before its first score.

    The object names the endpoints to which the process sends requests.
    """
    return f"{SENDERS}{child}"


def endpoint_used(endpoint: str) -> str:
    """Return the key of the object that is created before the very first score of an endpoint.

    While the object does not exist, no request to the endpoint can be in flight.
    """
    return f"endpoints/{endpoint}.used"


def audit_hour(hour: str) -> str:
    """Return the prefix of the keys of the audit files of an hour in UTC, such as `2026-11-25T09`."""
    return f"{AUDIT}{hour}/"


def audit_file(hour: str, process: str, number: int) -> str:
    """Return the key of file `number` of a process's audit log. The files are numbered across all hours."""
    return f"{audit_hour(hour)}{process}/{_fixed(number, 9)}.ndjson"

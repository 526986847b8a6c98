"""The handlers of watches. A watch makes a job of every folder that appears below a prefix.

The API stores the watch. The sweep process of the workers lists the prefix and submits the jobs.
"""

import contextlib
import json
from datetime import UTC, datetime
from typing import Any

from pydantic import Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.dependencies import Dependencies, base_of, dependencies_of, in_thread, tenant_of
from api.http.headers import idempotency_key
from api.http.json_pointer import pointer
from api.http.middleware.request_audit import note
from api.submissions import accept, request_bodies
from api.submissions.options import Options, OptionsAsked, StrictModel, members, read_json, read_options
from api.submissions.parse import Prompts, SubmissionRequest
from api.submissions.source_references import check_destination
from api.submissions.stored_beside import check_beside, check_prefix_beside
from maskrelay.contract.records import keys
from maskrelay.contract.records.watch_records import Watch
from maskrelay.contract.views.watch_views import WatchList, WatchShown
from maskrelay.errors import (
    CredentialUnknown,
    LedgerUnavailable,
    NotFound,
    ObjectExists,
    ObjectMissing,
    OptionInvalid,
    SourceForbidden,
    SourceInvalid,
    SourceNotAllowed,
    TooManyWatches,
)
from maskrelay.rules.run_lines import checked_prompts
from maskrelay.sources.dicomweb_urls import read_dicomweb_url
from maskrelay.sources.source_urls import read_source_url
from maskrelay.storage.stored_records import parsed, record_body

#: The largest number of watches of a tenant.
MOST = 100
_LONGEST_S = 7 * 86400.0
_DICOMWEB = "dicomweb+https"


class WatchAsked(StrictModel):
    source: str = Field(
        description="The URL of a prefix that ends with `/`, for example `s3://bucket/incoming/`, or of a DICOMweb "
        "study or query, whose series then count as folders."
    )
    credential: str | None = Field(None, description="The name of the credential. The default is that of the prefix.")
    prompts: Prompts
    options: OptionsAsked | None = Field(None, description="The options of every job, without `deadline`.")
    pattern: str | None = Field(
        None,
        min_length=1,
        max_length=256,
        description="Only objects with names of this pattern count, such as `*.dcm`.",
    )
    settle_s: float = Field(
        60, ge=0, le=_LONGEST_S, description="A folder becomes a job when it has not changed for this time, in seconds."
    )
    expected: int | None = Field(None, ge=1, description="A folder with this number of objects becomes a job at once.")
    period_s: float = Field(
        300, ge=1, le=_LONGEST_S, description="The seconds between two listings if no notification arrives."
    )
    changes: str | None = Field(
        None,
        description="For a source in an Orthanc: the URL of its list of changes, such as "
        "`dicomweb+https://orthanc.example/changes`. It is asked every few seconds, and a change causes a listing.",
    )


async def create_watch(request: Request) -> Response:
    """Watch a prefix of a store. Every folder in it becomes a job when its objects have arrived.

    A folder becomes one job, however often it is listed. If objects are added to it or replaced later, it becomes
    another job. Two watches of one prefix make two jobs of each folder, so send an `Idempotency-Key` if you may have to
    repeat the request.
    """
    dependencies, tenant = dependencies_of(request), tenant_of(request)
    asking = accept.SubmissionContext(tenant, idempotency_key(request.headers), request.state.traceparent)
    body = await request_bodies.receive_json(request, dependencies.limits)
    watch = await in_thread(_created, dependencies, asking, body)
    note(request, watch=watch.id)
    shown = _shown(watch, base_of(request))
    headers = {"Location": f"{base_of(request)}/v1/watches/{watch.id}", "Cache-Control": "no-store"}
    return JSONResponse(shown.model_dump(mode="json", exclude_none=True), 201, headers)


async def list_watches(request: Request) -> Response:
    """List the watches of the tenant."""
    dependencies = dependencies_of(request)
    watches = await in_thread(_listed, dependencies, tenant_of(request))
    shown = WatchList(watches=[_shown(watch, base_of(request)) for watch in watches])
    return JSONResponse(shown.model_dump(mode="json", exclude_none=True), headers={"Cache-Control": "no-store"})


async def delete_watch(request: Request, watch: str) -> Response:
    """End a watch. The jobs that it has submitted continue."""
    await in_thread(_deleted, dependencies_of(request), tenant_of(request), watch)
    note(request, watch=watch)
    return Response(status_code=204)


def _created(dependencies: Dependencies, asking: accept.SubmissionContext, body: bytes) -> Watch:
    given = members(read_json(body, pointer()), WatchAsked.model_fields, ())
    watch_id = _id(dependencies, asking, given)
    if asking.key is not None and (found := _stored(dependencies, keys.watch(asking.tenant, watch_id))) is not None:
        return found
    options = read_options(given.pop("options", {}))
    prompts = checked_prompts(given.pop("prompts", []), dependencies.limits, pointer("prompts"))
    _check_options(options)
    try:
        asked = WatchAsked.model_validate({**given, "prompts": list(prompts)})
    except ValidationError as error:
        place = error.errors()[0]
        raise OptionInvalid(place["msg"], pointer=pointer(*place["loc"])) from None
    source, credential = _source(dependencies, asking.tenant, asked)
    _check_destination(dependencies, asking.tenant, options, source)
    if len(list(dependencies.storage.list(keys.watches(asking.tenant)))) >= MOST:
        raise TooManyWatches(f"A tenant may have at most {MOST} watches.")
    watch = Watch(
        id=watch_id,
        tenant=asking.tenant,
        created_at=datetime.now(UTC),
        source=source,
        credential=credential,
        pattern=asked.pattern,
        prompts=prompts,
        settle_s=asked.settle_s,
        expected=asked.expected,
        period_s=asked.period_s,
        changes=_changes(dependencies, asking.tenant, asked.changes, credential),
        template=accept.template(dependencies, asking, SubmissionRequest((), (), options), watch_id),
    )
    with contextlib.suppress(ObjectExists):  # the same request has arrived twice at the same time
        dependencies.storage.create(keys.watch(asking.tenant, watch_id), record_body(watch), "application/json")
    return watch


def _id(dependencies: Dependencies, asking: accept.SubmissionContext, given: dict[str, Any]) -> str:
    """Return the id of the watch. With an idempotency key, it is derived from the key and the request.

    So the record of an id stays the same, also if the watch is removed and added again. A watch that exists under the
    id that is derived with the previous server key keeps this id.
    """
    if asking.key is None:
        return keys.new_id()
    meaning = json.dumps([asking.tenant, asking.key, given], sort_keys=True)
    newest, *before = (keys.derived_id(key, f"\0watch\0{meaning}".encode()) for key in dependencies.server_keys)
    known = (watch for watch in before if _stored(dependencies, keys.watch(asking.tenant, watch)) is not None)
    return next(known, newest)


def _stored(dependencies: Dependencies, key: str) -> Watch | None:
    """Return the watch with this key, or None if there is none any more."""
    try:
        return parsed(dependencies.storage.get(key), Watch, key)
    except ObjectMissing:
        return None


def _check_options(options: Options) -> None:
    """Raise OptionInvalid for an option that only a single job can have."""
    if options.deadline is not None:
        raise OptionInvalid("A watch has no deadline.", pointer=pointer("options", "deadline"))
    if options.callback is not None and options.callback.secret is None:
        raise OptionInvalid(
            "The callback of a watch needs a secret, because no response could contain a generated one.",
            pointer=pointer("options", "callback", "secret"),
        )


def _check_destination(dependencies: Dependencies, tenant: str, options: Options, source: str) -> None:
    """Raise OptionInvalid if the results of the jobs would be written below the watched prefix and become jobs.

    Also raises the errors of the options that say where the results are written.
    """
    if options.store_beside:  # the watch ignores these files
        check_beside(dependencies.credentials, tenant, options)
        check_prefix_beside(dependencies.credentials, tenant, options, source)
        return
    check_destination(dependencies.credentials, tenant, options.store_to, options.store_prefix)
    if options.store_to is not None:
        root = dependencies.credentials.destination(tenant, options.store_to, options.store_prefix).root
        if root.startswith(source):
            raise OptionInvalid(
                "The results would be written below the watched prefix, and become jobs.",
                pointer=pointer("options", "store_to"),
            )


def _source(dependencies: Dependencies, tenant: str, asked: WatchAsked) -> tuple[str, str]:
    """Return the canonical URL of the prefix or query, and the name of its credential."""
    try:
        url = _watchable(asked.source)
        return url, dependencies.credentials.readable(tenant, url, asked.credential).name
    except SourceForbidden as error:
        raise SourceInvalid(f"{error.detail[:1].upper()}{error.detail[1:]}.", pointer=pointer("source")) from None
    except CredentialUnknown as error:
        raise CredentialUnknown(error.detail, pointer=pointer("credential")) from None
    except SourceNotAllowed as error:
        raise SourceNotAllowed(error.detail, pointer=pointer("source")) from None
    except SourceInvalid as error:
        raise SourceInvalid(error.detail, pointer=pointer("source")) from None


def _watchable(source: str) -> str:
    """Return the canonical URL of a collection. Raises SourceInvalid, and SourceForbidden for an unlimited query."""
    place = read_source_url(source)
    if place.scheme == "https":
        raise SourceInvalid("A web server cannot be listed, so it cannot be watched.")
    if not (read_dicomweb_url(place.text).level if place.scheme == _DICOMWEB else place.text.endswith("/")):
        raise SourceInvalid("A watch needs a prefix that ends with `/`, or a DICOMweb study or query.")
    return place.text


def _changes(dependencies: Dependencies, tenant: str, changes: str | None, credential: str) -> str | None:
    """Return the canonical URL of a list of changes, which the credential of the watch must allow to be read."""
    if changes is None:
        return None
    if not changes.startswith(f"{_DICOMWEB}://") or "?" in changes:
        said = "The list of changes is a URL such as dicomweb+https://orthanc.example/changes."
        raise SourceInvalid(said, pointer=pointer("changes"))
    try:
        url = read_source_url(changes).text
        dependencies.credentials.readable(tenant, url, credential)
    except SourceInvalid as error:
        raise SourceInvalid(error.detail, pointer=pointer("changes")) from None
    except (SourceNotAllowed, CredentialUnknown) as error:
        raise SourceNotAllowed(error.detail, pointer=pointer("changes")) from None
    return url


def _listed(dependencies: Dependencies, tenant: str) -> list[Watch]:
    listed = (_stored(dependencies, key) for key in dependencies.storage.list(keys.watches(tenant)))
    watches = [watch for watch in listed if watch is not None]
    return sorted(watches, key=lambda watch: (watch.created_at, watch.id))


def found_watch(dependencies: Dependencies, tenant: str, watch_id: str) -> str:
    """Return the key of a watch. Raises NotFound."""
    key = keys.watch(tenant, watch_id)
    if not keys.ID.fullmatch(watch_id):
        raise NotFound
    try:
        dependencies.storage.get(key)
    except ObjectMissing:
        raise NotFound from None
    return key


def _deleted(dependencies: Dependencies, tenant: str, watch_id: str) -> None:
    dependencies.storage.delete(found_watch(dependencies, tenant, watch_id))
    with contextlib.suppress(LedgerUnavailable):  # nothing reads what remains, and it expires or is small
        dependencies.ledger.watches.forget(watch_id)


def _shown(watch: Watch, base: str) -> WatchShown:
    shown = {"id", "created_at", "source", "credential", "pattern", "settle_s", "expected", "changes"}
    about = watch.model_dump(include=shown)
    events = f"{base}/v1/watches/{watch.id}/events"
    return WatchShown(**about, prompts=list(watch.prompts), period_s=watch.period_s, events=events)

"""The fields of a new submission that follow from the options of a request, and the checks of these options."""

from datetime import UTC, datetime, timedelta
from typing import Any

from api.dependencies import Dependencies
from api.http.json_pointer import pointer
from api.operations.catalogue import check_pin
from api.submissions.options import Options
from api.submissions.source_references import check_destination
from api.submissions.stored_beside import check_beside
from maskrelay.callbacks.sealing import seal
from maskrelay.contract.records.job import CallbackTarget, accepted_at
from maskrelay.errors import CallbackForbidden, OptionInvalid


def check_options(dependencies: Dependencies, tenant: str, options: Options) -> None:
    """Check that a new job can have these options now.

    Raises OptionInvalid, CallbackForbidden, CredentialUnknown or SourceNotAllowed.
    """
    if isinstance(options.deadline, datetime) and options.deadline <= datetime.now(UTC):
        raise OptionInvalid("The deadline has passed.", pointer=pointer("options", "deadline"))
    if options.store_beside:
        check_beside(dependencies.credentials, tenant, options)
    else:
        check_destination(dependencies.credentials, tenant, options.store_to, options.store_prefix)
    callback = options.callback
    check_targets(dependencies, tenant, options.endpoint, callback.url if callback else None)


def check_targets(dependencies: Dependencies, tenant: str, endpoint: str | None, callback_url: str | None) -> None:
    """Raise OptionInvalid if the tenant cannot use the endpoint, and CallbackForbidden if the URL is not allowed."""
    if endpoint is not None:
        check_pin(dependencies, tenant, endpoint)
    if callback_url is not None:
        try:
            dependencies.guard.check_url(callback_url)
        except CallbackForbidden as error:
            raise CallbackForbidden(error.detail, pointer=pointer("options", "callback", "url")) from None


def fields_of(
    dependencies: Dependencies, options: Options, job: str, tenant: str, traceparent: str | None
) -> dict[str, Any]:
    """Return the fields of a new submission that follow from the request and its options."""
    now = accepted_at(datetime.now(UTC))
    return {
        "id": job,
        "tenant": tenant,
        "created_at": now,
        "outputs": options.outputs,
        "pixels": options.pixels,
        "endpoint": options.endpoint,
        "one_prompt_per_request": options.one_prompt_per_request,
        "reuse": options.reuse,
        "dry_run": options.dry_run,
        "store_to": options.store_to,
        "store_prefix": options.store_prefix,
        "store_beside": options.store_beside,
        "metadata": options.metadata,
        "callback": _target(dependencies, options, job),
        "deadline": _deadline(options.deadline, now),
        "traceparent": traceparent,
    }


def _deadline(asked: timedelta | datetime | None, now: datetime) -> datetime | None:
    return now + asked if isinstance(asked, timedelta) else asked


def _target(dependencies: Dependencies, options: Options, job: str) -> CallbackTarget | None:
    callback = options.callback
    if callback is None:
        return None
    sealed = None if callback.secret is None else seal(dependencies.server_key, callback.secret, job)
    return CallbackTarget(url=callback.url, sealed=sealed, events=callback.events)

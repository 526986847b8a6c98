"""The acceptance of a run. Its items are in storage already, or a worker reads them from a manifest or a listing."""

import secrets
from collections.abc import Collection, Iterable
from contextlib import ExitStack
from typing import Any

from api.dependencies import Dependencies
from api.http.json_pointer import pointer
from api.submissions import accept, idempotency
from api.submissions.job_fields import check_options, fields_of
from api.submissions.options import Options
from api.submissions.parse import lane_for
from api.submissions.referenced_run import ReferencedRun
from api.submissions.run_body import ReceivedRun
from api.submissions.stored_beside import check_prefix_beside
from api.submissions.upload_quota import uploads_used
from api.submissions.uploads import Incoming
from maskrelay.contract.records import keys
from maskrelay.contract.records.job import Submission
from maskrelay.contract.records.runs import LineSource, Run
from maskrelay.contract.vocabulary.trained_targets import prompt_warnings
from maskrelay.errors import CredentialUnknown, SourceNotAllowed, StillAccepting


def accept_run(
    dependencies: Dependencies, request: accept.SubmissionContext, job: str, wanted: ReceivedRun, incoming: Incoming
) -> Submission:
    """Return the submission for this run: a new one, or the first one with the same idempotency key.

    When the function returns, the job is durable. It raises the errors of `accept.accept`, and also TooManyRejected and
    NoItems. `incoming.kept` is true afterwards if the items in storage may belong to an accepted job.
    """
    if request.key is not None and (found := idempotency.earlier(dependencies, job)) is not None:
        return idempotency.same(found, wanted.fingerprint)
    if not wanted.is_stored:  # the first job under this key was not accepted after all
        raise StillAccepting
    wanted.check_rejected()
    check_options(dependencies, request.tenant, wanted.options)
    run = Run(chunks=wanted.chunks, expansion=wanted.expansion)
    about = {"total": wanted.expansion.items, "size": wanted.size, "fingerprint": wanted.fingerprint}
    submission = _submission(dependencies, request, job, wanted.options, run, wanted.prompts, about)
    return _accept(dependencies, request, submission, wanted.uploads, incoming)


def accept_referenced_run(
    dependencies: Dependencies, request: accept.SubmissionContext, wanted: ReferencedRun, incoming: Incoming
) -> Submission:
    """Return the submission for this run, like `accept_run`. Nothing of the manifest or the listing is read.

    Also raises CredentialUnknown or SourceNotAllowed. `incoming.kept` is true afterwards if the job is a new one.
    """
    job = idempotency.job_id(dependencies, request.tenant, request.key)
    if request.key is not None and (found := idempotency.earlier(dependencies, job)) is not None:
        return idempotency.same(found, wanted.fingerprint())
    check_options(dependencies, request.tenant, wanted.options)
    if wanted.format is None:
        check_prefix_beside(dependencies.credentials, request.tenant, wanted.options, wanted.read_url)
    source = LineSource(
        url=wanted.reference.url,
        credential=_credential(dependencies, request.tenant, wanted),
        format=wanted.format,
        prompts=wanted.prompts,
        max_rejected_share=wanted.options.max_rejected_share,
        most_prompts=dependencies.limits.prompts,
        prompt_length=dependencies.limits.prompt_length,
        most_items=dependencies.quotas(request.tenant).frames,
    )
    run = Run(chunks=keys.item_chunks(job, secrets.token_hex(8)), lines_from=source)
    about = {"total": 0, "fingerprint": wanted.fingerprint()}
    submission = _submission(dependencies, request, job, wanted.options, run, wanted.prompts, about)
    return _accept(dependencies, request, submission, (), incoming)


def _accept(
    dependencies: Dependencies,
    request: accept.SubmissionContext,
    submission: Submission,
    uploads: Collection[str],
    incoming: Incoming,
) -> Submission:
    with ExitStack() as held:
        if request.key is not None:
            held.enter_context(idempotency.reserved(dependencies, submission.id))
        held.enter_context(uploads_used(dependencies, request.tenant, uploads, incoming))
        held.enter_context(accept.room_kept(dependencies, submission))
        accept.prepare(dependencies, submission, ())
        incoming.kept = True  # from here on the job may exist, even if the response of the store is lost
        if accept.stand(dependencies, submission):
            return submission
        incoming.kept = False
        return idempotency.same(idempotency.standing(dependencies, submission.id), submission.fingerprint)


def _submission(
    dependencies: Dependencies,
    request: accept.SubmissionContext,
    job: str,
    options: Options,
    run: Run,
    prompts: Iterable[str],
    about: dict[str, Any],
) -> Submission:
    lane = lane_for(options, about["total"]) if run.lines_from is None else options.lane or "bulk"
    fields = fields_of(dependencies, options, job, request.tenant, request.traceparent)
    return Submission(**fields, **about, lane=lane, warnings=prompt_warnings(list(prompts)), run=run)


def _credential(dependencies: Dependencies, tenant: str, wanted: ReferencedRun) -> str:
    """Return the name of the credential with which the manifest or the listing is read."""
    try:
        return dependencies.credentials.readable(tenant, wanted.read_url, wanted.reference.credential).name
    except CredentialUnknown as error:
        raise CredentialUnknown(error.detail, pointer=pointer(wanted.member, "credential")) from None
    except SourceNotAllowed as error:
        raise SourceNotAllowed(error.detail, pointer=pointer(wanted.member, "source")) from None

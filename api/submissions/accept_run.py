"""The acceptance of a run, whose items are in storage already."""

from contextlib import ExitStack

from api.dependencies import Dependencies
from api.submissions import accept
from api.submissions.job_fields import check_options, fields_of
from api.submissions.parse import lane_for
from api.submissions.run_body import ReceivedRun
from api.submissions.upload_quota import uploads_used
from api.submissions.uploads import Incoming
from maskrelay.contract.records.job import Submission
from maskrelay.contract.records.runs import Run
from maskrelay.contract.vocabulary.trained_targets import prompt_warnings
from maskrelay.errors import StillAccepting


def accept_run(
    dependencies: Dependencies, request: accept.SubmissionContext, job: str, wanted: ReceivedRun, incoming: Incoming
) -> Submission:
    """Return the submission for this run: a new one, or the first one with the same idempotency key.

    When the function returns, the job is durable. It raises the errors of `accept.accept`, and also TooManyRejected and
    NoItems. `incoming.kept` is true afterwards if the items in storage may belong to an accepted job.
    """
    if request.key is not None and (found := accept.earlier(dependencies, job)) is not None:
        return accept.same(found, wanted.fingerprint)
    if not wanted.is_stored:  # the first job under this key was not accepted after all
        raise StillAccepting
    wanted.check_rejected()
    check_options(dependencies, request.tenant, wanted.options)
    submission = _submission(dependencies, request, job, wanted)
    with ExitStack() as held:
        if request.key is not None:
            held.enter_context(accept.reserved(dependencies, job))
        held.enter_context(uploads_used(dependencies, request.tenant, wanted.uploads, incoming))
        held.enter_context(accept.room_kept(dependencies, submission))
        accept.prepare(dependencies, submission, ())
        incoming.kept = True  # from here on the job may exist, even if the response of the store is lost
        if accept.stand(dependencies, submission):
            return submission
        incoming.kept = False
        return accept.same(accept.standing(dependencies, job), wanted.fingerprint)


def _submission(
    dependencies: Dependencies, request: accept.SubmissionContext, job: str, wanted: ReceivedRun
) -> Submission:
    return Submission(
        **fields_of(dependencies, wanted.options, job, request.tenant, request.traceparent),
        lane=lane_for(wanted.options, wanted.expansion.items),
        warnings=prompt_warnings(wanted.prompts),
        total=wanted.expansion.items,
        size=wanted.size,
        run=Run(chunks=wanted.chunks, expansion=wanted.expansion),
        fingerprint=wanted.fingerprint,
    )

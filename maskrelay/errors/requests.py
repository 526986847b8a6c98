"""The errors for which the request of a caller is refused."""

from collections.abc import Mapping, Sequence

from maskrelay.errors.base import MaskrelayError


class RequestError(MaskrelayError):
    """The request is refused."""

    def __init__(
        self,
        detail: str | None = None,
        *,
        pointer: str | None = None,
        places: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        #: The JSON pointer to the part of the request that `detail` is about.
        self.pointer = pointer
        #: The JSON pointers to further parts that are wrong, each with a description of the problem.
        self.places = tuple(places)
        #: Additional headers of the response.
        self.headers = dict(headers or {})


class Malformed(RequestError):
    """The request cannot be read."""


class BodyIncomplete(Malformed):
    """The body ended before it was complete."""


class Unauthenticated(RequestError):
    """The API key or token is missing, unknown or not valid at this time."""


class ScopeMissing(RequestError):
    """The API key or token does not allow this request."""


class NotFound(RequestError):
    """The resource does not exist, or this key may not see it."""


class MethodNotAllowed(RequestError):
    """The resource does not support this method."""


class Gone(RequestError):
    """The job was deleted or has expired."""


class Conflict(RequestError):
    """The request conflicts with the current state of the resource."""


class StillAccepting(Conflict):
    """The first request under this idempotency key is still being accepted."""

    retryable = True


class NotCancellable(Conflict):
    """The job is finishing or finished and can no longer be cancelled."""


class NotEnded(Conflict):
    """The job has not ended yet."""


class NothingToRedrive(Conflict):
    """No frame of the job ended in an error, or no frame ended in the error with the given code."""


class BodyTooLarge(RequestError):
    """The body is larger than this service accepts."""


class EncodingUnsupported(RequestError):
    """The content encoding of the body is not supported. Send the body without one."""


class RangeNotSatisfiable(RequestError):
    """The file has no bytes in this range."""


class QuotaReached(RequestError):
    """The tenant has reached a quota."""

    retryable = True


class JobsQuotaReached(QuotaReached):
    """The tenant has reached its quota of unfinished jobs."""


class FramesQuotaReached(QuotaReached):
    """The tenant has reached its quota of unfinished frames."""


class InteractiveQuotaReached(QuotaReached):
    """The tenant has reached its quota of unfinished interactive frames."""


class BytesQuotaReached(QuotaReached):
    """The tenant's unfinished jobs and unused uploads have reached the quota of bytes."""


class Refused(RequestError):
    """The request is well-formed but not acceptable."""


class ArtifactsElsewhere(Refused):
    """The service redirects to files in its store, so each file must be requested by itself."""


class NestedTooDeep(Refused):
    """The JSON is nested too deeply."""


class NoItems(Refused):
    """The job has no items."""


class TooManyItems(Refused):
    """The job has more items than this service accepts."""


class TooManyWatches(Refused):
    """The tenant has as many watches as it may have."""


class NoPrompts(Refused):
    """An item has no prompts."""


class TooManyPrompts(Refused):
    """An item has more prompts than this service accepts."""


class PromptEmpty(Refused):
    """A prompt is empty."""


class PromptTooLong(Refused):
    """A prompt is too long for the model's text encoder."""


class PromptHasAmpersand(Refused):
    """A prompt contains '&', which separates prompts in requests to the model."""


class PromptHasControl(Refused):
    """A prompt contains a line break or another control character."""


class LineInvalid(Refused):
    """A line of the run is not an item."""


class TooManyRejected(Refused):
    """More lines of the run were rejected than `max_rejected_share` allows."""


class OptionUnknown(Refused):
    """There is no option with this name."""


class OptionInvalid(Refused):
    """An option has a value that cannot be used."""


class CustomIdDuplicate(Refused):
    """Two items have the same custom_id."""


class UploadUnknown(Refused):
    """The upload does not exist, or this key may not use it."""


class UploadExpired(Refused):
    """The upload is too old to be used in a new job."""


class UploadGone(Refused):
    """An upload that a failed item needs no longer exists."""


class SourceInvalid(Refused):
    """The source is not a URL from which this service can read."""


class CredentialUnknown(Refused):
    """There is no credential with this name, or this key may not use it."""


class SourceNotAllowed(Refused):
    """The API key or token does not allow this source to be read."""


class LaneForbidden(Refused):
    """The interactive lane accepts only small jobs."""


class CodesInvalid(Refused):
    """The table of codes for segments cannot be used."""


class IdempotencyKeyReused(Refused):
    """Another request was already accepted under this idempotency key."""


class CallbackForbidden(Refused):
    """Callbacks to this address are not allowed."""

"""What a caller's request is refused for."""

from maskrelay.errors.base import MaskrelayError


class RequestError(MaskrelayError):
    """The request is refused."""


class Malformed(RequestError):
    """The request cannot be read."""


class BodyIncomplete(Malformed):
    """The body ended before it was whole."""


class Unauthenticated(RequestError):
    """The API key or token is missing, unknown or not valid now."""


class ScopeMissing(RequestError):
    """The API key or token does not allow this."""


class NotFound(RequestError):
    """There is nothing here for this key."""


class MethodNotAllowed(RequestError):
    """The resource does not know this method."""


class Gone(RequestError):
    """The job was deleted or has expired."""


class Conflict(RequestError):
    """The request does not fit the present state."""


class StillAccepting(Conflict):
    """The first request under this idempotency key is still being accepted."""

    retryable = True


class NotCancellable(Conflict):
    """The job is finishing or finished and can no longer be cancelled."""


class NotEnded(Conflict):
    """The job has not ended yet."""


class NothingToRedrive(Conflict):
    """No frame of the job ended in an error, or in this one."""


class BodyTooLarge(RequestError):
    """The body is larger than this service takes."""


class EncodingUnsupported(RequestError):
    """The body has a content encoding that is not decoded here; send it as it is."""


class RangeNotSatisfiable(RequestError):
    """The file has none of the bytes of this range."""


class QuotaReached(RequestError):
    """The tenant has as much under way as it may."""

    retryable = True


class JobsQuotaReached(QuotaReached):
    """The tenant has as many live jobs as it may."""


class FramesQuotaReached(QuotaReached):
    """The tenant has as many frames under way as it may."""


class InteractiveQuotaReached(QuotaReached):
    """The tenant has as many interactive frames under way as it may."""


class BytesQuotaReached(QuotaReached):
    """The tenant's unfinished jobs and unused uploads have as many bytes as they may."""


class Refused(RequestError):
    """The request is well-formed but not acceptable."""


class NestedTooDeep(Refused):
    """The JSON is nested too deep."""


class NoItems(Refused):
    """The job has no item."""


class TooManyItems(Refused):
    """The job has more items than this service takes."""


class NoPrompts(Refused):
    """An item has no prompt."""


class TooManyPrompts(Refused):
    """An item has more prompts than this service takes."""


class PromptEmpty(Refused):
    """A prompt is empty."""


class PromptTooLong(Refused):
    """A prompt is too long for the model's text encoder."""


class PromptHasAmpersand(Refused):
    """A prompt contains '&', which separates prompts on the wire."""


class PromptHasControl(Refused):
    """A prompt contains a line break or another control character."""


class OptionUnknown(Refused):
    """There is no option of this name."""


class OptionInvalid(Refused):
    """An option has a value that cannot be used."""


class CustomIdDuplicate(Refused):
    """Two items have the same custom_id."""


class UploadUnknown(Refused):
    """There is no such upload."""


class UploadExpired(Refused):
    """The upload is too old to be used in a new job."""


class UploadGone(Refused):
    """An upload that a failed item needs is no longer there."""


class LaneForbidden(Refused):
    """The interactive lane takes small jobs only."""


class CodesInvalid(Refused):
    """The table of codes for segments cannot be used."""


class IdempotencyKeyReused(Refused):
    """Another request was already accepted under this idempotency key."""


class CallbackForbidden(Refused):
    """The callback's address is not allowed."""

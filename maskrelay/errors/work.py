"""The errors of items, endpoints, storage, the ledger, callbacks, the client and the stack."""

from maskrelay.errors.base import MaskrelayError


class ItemError(MaskrelayError):
    """The item could not be segmented."""


class NotAnImage(ItemError):
    """The file is not an image that this service can read."""


class Truncated(ItemError):
    """The image file ends too early or is damaged."""


class UnsupportedImage(ItemError):
    """The image is of a kind that this service cannot read."""


class TooManyPixels(ItemError):
    """The image has more pixels than this service accepts."""


class DecodeTooLarge(ItemError):
    """Decoding the image, or drawing its masks, needs more memory than a worker may use."""


class ZeroSized(ItemError):
    """The image has no pixels."""


class NoPixels(ItemError):
    """The file contains no image."""

    def __init__(self, detail: str | None = None, *, has_size: bool = True) -> None:
        super().__init__(detail)
        #: Whether the file declares a number of rows and columns.
        self.has_size = has_size


class NotAPicture(ItemError):
    """The object contains no image, but data derived from images, such as a segmentation or a dose."""


class HiddenFile(ItemError):
    """The file was written by an operating system and is not one of the images."""


class ViewerPicture(ItemError):
    """The picture is next to a DICOMDIR, so it belongs to the viewer program on the medium and is not an image."""


class DirectoryFile(ItemError):
    """The file is a list of other files (DICOMDIR) and contains no image."""


class TagInvalid(ItemError):
    """A tag of the file is missing or has a value that cannot be used."""


class UnsupportedTransferSyntax(ItemError):
    """The pixels are encoded in a way that this service cannot read."""


class FrameOutOfRange(ItemError):
    """The file has no frame with this number."""


class VolumeNeeded(ItemError):
    """The file contains several volumes. Choose one with the option `volume`."""


class SourceMissing(ItemError):
    """The item's upload no longer exists."""


class SourceNotFound(ItemError):
    """The item's source does not exist in its store."""


class SourceForbidden(ItemError):
    """The store refuses to let this service read the item's source, or the permission to read it was withdrawn."""


class SourceChanged(ItemError):
    """The item's source was changed while the job was running."""


class SourceUnpinned(ItemError):
    """The server of the item's source gives no ETag and no time of change, so a change could not be noticed."""


class IdentifierUnmapped(ItemError):
    """The site has no pseudonym for the item's study or series, and `identifiers: site` shows nothing else."""


class SourceTooLarge(ItemError):
    """The file is larger than a worker may open."""


class DecoderCrashed(ItemError):
    """Decoding the file crashed a worker twice, while the worker processed only this file."""


class DecodeTimeout(ItemError):
    """Decoding the file took longer than the time limit."""


class ArtifactUnsupported(ItemError):
    """The source cannot be converted to this kind of output."""


class SeriesIncomplete(ItemError):
    """Slices of the series are missing, or several slices have the same position."""


class ArchiveInvalid(ItemError):
    """The archive is damaged, or its format is not supported."""


class ArchiveTooLarge(ItemError):
    """The archive contains more than this service accepts."""


class ArchiveNested(ItemError):
    """The member of the archive is itself an archive, which is not opened."""


class BurnedInAnnotation(ItemError):
    """The image may show burned-in text, and the option `burned_in` refuses such images."""


class AssemblyFailed(ItemError):
    """A file of the whole item could not be made."""


class JobHalted(MaskrelayError):
    """A step of the job failed repeatedly, so the job ended without a result."""


class PlanningFailed(JobHalted):
    """The job could not be planned and ended without a result. An operator can resume it."""


class AssemblingFailed(JobHalted):
    """The files of an item could not be made, and the job ended without a result. An operator can resume it."""


class FinishingFailed(JobHalted):
    """The result could not be written. All masks are kept, and an operator can resume the job."""


class ManifestInvalid(JobHalted):
    """The manifest of the run is not of the format that it should have."""


class ListingEmpty(JobHalted):
    """The listing of the run contains no object that matches its pattern."""


class EndpointError(MaskrelayError):
    """The scoring endpoint returned no usable answer."""

    retryable = True

    def __init__(
        self,
        detail: str | None = None,
        *,
        status: int | None = None,
        kind: str = "",
        retry_after_s: float | None = None,
        still_working: bool = False,
        endpoint: str = "",
        come_back_s: float | None = None,
    ) -> None:
        super().__init__(detail)
        #: The HTTP status, or None if there was no response.
        self.status = status
        #: The status that the container of the endpoint returned, if the gateway reports it in its own answer.
        self.inner_status: int | None = None
        #: The kind of error, as a name for metrics.
        self.kind = kind
        #: The number of seconds after which the endpoint asks to retry, from 0 to 300.
        self.retry_after_s = retry_after_s
        #: Whether the endpoint's container may still be working on the request.
        self.still_working = still_working
        #: The name of the endpoint, or an empty string if none was chosen yet.
        self.endpoint = endpoint
        #: The number of seconds until the next gate may open, if no request was sent because all gates are closed.
        self.come_back_s = come_back_s


class EndpointBusy(EndpointError):
    """The endpoint cannot answer now. The frame waits."""


class EndpointThrottled(EndpointBusy):
    """The endpoint refuses requests at present (429)."""


class EndpointTimeout(EndpointBusy):
    """The endpoint took too long and may still be working on the request."""


class EndpointUnavailable(EndpointBusy):
    """The endpoint cannot be reached, or none of its deployments is ready."""


class ProxyUnavailable(EndpointUnavailable):
    """The proxy for the endpoint cannot be reached, or the proxy cannot reach the endpoint."""


class EndpointDenied(EndpointBusy):
    """The endpoint refuses the credentials."""


class ProxyDenied(EndpointDenied):
    """The proxy for the endpoint refuses the user and password, or does not allow the endpoint's address."""


class FrameRefused(EndpointError):
    """The endpoint failed on this frame."""


class ScoringFailed(FrameRefused):
    """The model failed on this frame."""


class RequestTooLarge(FrameRefused):
    """The endpoint refuses the request because it is too large (413)."""


class AnswerInvalid(FrameRefused):
    """The endpoint's answer is not valid."""

    #: The body as it was received. It is never shown or logged.
    raw: bytes = b""


class StorageError(MaskrelayError):
    """The object store failed."""


class StorageUnavailable(StorageError):
    """The object store cannot be reached."""

    retryable = True

    def __init__(self, detail: str | None = None, *, reason: str = "", refused: bool = False) -> None:
        super().__init__(detail)
        #: An error code of the operating system or of the server.
        self.reason = reason
        #: Whether the store was reached, and will refuse the request again until an operator changes something.
        self.refused = refused


class SourceUnavailable(StorageUnavailable):
    """The store of an item's source cannot be reached."""


class ObjectExists(StorageError):
    """An object with this key exists already."""


class ObjectMissing(StorageError):
    """There is no object with this key."""


class KeyInvalid(StorageError):
    """The key is not valid."""


class RecordUnreadable(StorageError):
    """A stored record cannot be read."""

    def __init__(self, detail: str | None = None, *, key: str = "") -> None:
        super().__init__(detail)
        #: The key of the object.
        self.key = key


class LedgerUnavailable(MaskrelayError):
    """The ledger (Redis) cannot be reached."""

    retryable = True


class LedgerFull(LedgerUnavailable):
    """The ledger's memory is nearly full. New jobs are accepted again when other jobs have ended."""


class EndpointsUnknown(LedgerUnavailable):
    """No worker has announced an endpoint since Redis lost its data. Workers announce endpoints within seconds."""


class IssuerUnavailable(MaskrelayError):
    """The keys of the token issuer cannot be fetched."""

    retryable = True


class SignatureInvalid(MaskrelayError):
    """The callback's signature does not match its secret, body and time."""


class SealInvalid(MaskrelayError):
    """The sealed secret cannot be decrypted with this server key for this job."""


class ClientError(MaskrelayError):
    """The client received no usable answer."""


class ServiceUnreachable(ClientError):
    """The service cannot be reached."""

    retryable = True


class ServiceAnswerUnknown(ClientError):
    """The client does not understand the answer of the service."""


class WaitTimeout(ClientError):
    """The job is not finished yet."""

    retryable = True


class StackError(MaskrelayError):
    """The embedded stack cannot run."""

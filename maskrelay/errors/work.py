"""What goes wrong with an item, the endpoint, storage, the ledger, a callback, the client or the stack."""

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
        #: Whether the file says how many rows and columns it has.
        self.has_size = has_size


class NotAPicture(ItemError):
    """The object contains data derived from images, such as a segmentation or a dose, and no image."""


class HiddenFile(ItemError):
    """The file was written by an operating system and is not one of the images."""


class ViewerPicture(ItemError):
    """The picture is next to a DICOMDIR, so it belongs to the viewer on the medium and is not one of the images."""


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


class SourceTooLarge(ItemError):
    """The file is larger than a worker may open."""


class DecoderCrashed(ItemError):
    """Decoding the file crashed a worker twice while the worker did nothing else."""


class DecodeTimeout(ItemError):
    """Decoding the file took longer than is allowed."""


class ArtifactUnsupported(ItemError):
    """The source cannot be turned into this kind of output."""


class SeriesIncomplete(ItemError):
    """Slices of the series are missing, or several slices have the same position."""


class ArchiveInvalid(ItemError):
    """The archive is damaged, or its form is not supported."""


class ArchiveTooLarge(ItemError):
    """The archive contains more than this service accepts."""


class ArchiveNested(ItemError):
    """The member of the archive is itself an archive, which is not opened."""


class BurnedInAnnotation(ItemError):
    """The image may show burned-in text, and the option `burned_in` refuses such images."""


class AssemblyFailed(ItemError):
    """A file of the whole item could not be made."""


class JobHalted(MaskrelayError):
    """A step of the job failed repeatedly, and the job ended without it."""


class PlanningFailed(JobHalted):
    """The job could not be planned and ended without a result. An operator can resume it."""


class AssemblingFailed(JobHalted):
    """The files of an item could not be made, and the job ended without a result. An operator can resume it."""


class FinishingFailed(JobHalted):
    """The result could not be written. All masks are kept, and an operator can resume the job."""


class EndpointError(MaskrelayError):
    """The scoring endpoint gave no usable answer."""

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
        #: The HTTP status, if there was an answer.
        self.status = status
        #: A word for metrics.
        self.kind = kind
        #: As the endpoint asks, 0 to 300.
        self.retry_after_s = retry_after_s
        #: Whether the container may not have stopped.
        self.still_working = still_working
        #: The name of the endpoint; "" before one is chosen.
        self.endpoint = endpoint
        #: If nothing was sent because the gates are closed: seconds until one may open.
        self.come_back_s = come_back_s


class EndpointBusy(EndpointError):
    """The endpoint cannot answer now; the work waits."""


class EndpointThrottled(EndpointBusy):
    """The endpoint refuses requests for now (429)."""


class EndpointTimeout(EndpointBusy):
    """The endpoint took too long and may still be working on the request."""


class EndpointUnavailable(EndpointBusy):
    """The endpoint cannot be reached or has no deployment ready."""


class ProxyUnavailable(EndpointUnavailable):
    """The proxy on the way to the endpoint cannot be reached, or does not reach the endpoint."""


class EndpointDenied(EndpointBusy):
    """The endpoint refuses the credentials."""


class ProxyDenied(EndpointDenied):
    """The proxy on the way to the endpoint refuses its user and password, or the endpoint's address."""


class FrameRefused(EndpointError):
    """The endpoint failed on this frame."""


class ScoringFailed(FrameRefused):
    """The model failed on this frame."""


class RequestTooLarge(FrameRefused):
    """The endpoint refuses the request as too large (413)."""


class AnswerInvalid(FrameRefused):
    """The endpoint's answer breaks its contract."""

    #: The body as it was received, which is never shown or logged.
    raw: bytes = b""


class StorageError(MaskrelayError):
    """The object store failed."""


class StorageUnavailable(StorageError):
    """The object store cannot be reached."""

    retryable = True

    def __init__(self, detail: str | None = None, *, reason: str = "", refused: bool = False) -> None:
        super().__init__(detail)
        #: A word of the system or of the server.
        self.reason = reason
        #: Whether the store was reached, and will refuse again until an operator changes something.
        self.refused = refused


class ObjectExists(StorageError):
    """An object of this key is there already."""


class ObjectMissing(StorageError):
    """There is no object of this key."""


class KeyInvalid(StorageError):
    """The key is not one this store takes."""


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
    """No worker has announced an endpoint since Redis was emptied. They announce them within seconds."""


class IssuerUnavailable(MaskrelayError):
    """The keys of the token issuer cannot be fetched."""

    retryable = True


class SignatureInvalid(MaskrelayError):
    """The callback's signature does not match its secret, body and time."""


class SealInvalid(MaskrelayError):
    """The sealed secret does not open under this server key and for this job."""


class ClientError(MaskrelayError):
    """The client received no usable answer."""


class ServiceUnreachable(ClientError):
    """The service cannot be reached."""

    retryable = True


class ServiceAnswerUnknown(ClientError):
    """The service's answer is not one that this client understands."""


class WaitTimeout(ClientError):
    """The job is not finished yet."""

    retryable = True


class StackError(MaskrelayError):
    """The embedded stack cannot run."""

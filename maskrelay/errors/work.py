"""What goes wrong with an item, the endpoint, storage, the ledger, a callback, the client or the stack."""

from maskrelay.errors.base import MaskrelayError


class ItemError(MaskrelayError):
    """The item could not be segmented."""


class NotAnImage(ItemError):
    """The file is not an image this service reads."""


class Truncated(ItemError):
    """The image file ends too early or is damaged."""


class UnsupportedImage(ItemError):
    """The image is of a kind this service does not read."""


class TooManyPixels(ItemError):
    """The image has more pixels than this service takes."""


class DecodeTooLarge(ItemError):
    """Decoding the image, or drawing its masks, needs more memory than a worker may use."""


class ZeroSized(ItemError):
    """The image has no pixels."""


class NoPixels(ItemError):
    """The file holds no picture."""


class NotAPicture(ItemError):
    """The object holds what was made of pictures, such as a segmentation or a dose, and no picture."""


class HiddenFile(ItemError):
    """The file belongs to an operating system and not to the pictures beside it."""


class ViewerPicture(ItemError):
    """The picture lies beside a DICOMDIR: it belongs to the viewer on the medium and not to its images."""


class DirectoryFile(ItemError):
    """The file lists other files (DICOMDIR) and holds no picture."""


class TagInvalid(ItemError):
    """A tag of the file is missing or has a value that cannot be used."""


class UnsupportedTransferSyntax(ItemError):
    """The pixels are encoded in a way this service does not read."""


class FrameOutOfRange(ItemError):
    """The file has no frame of this number."""


class VolumeNeeded(ItemError):
    """The file holds several volumes, and which one is meant is not said."""


class SourceMissing(ItemError):
    """The upload behind the item is no longer there."""


class SourceTooLarge(ItemError):
    """The file is larger than a worker opens."""


class DecoderCrashed(ItemError):
    """Decoding the file ended its worker, twice, with nothing else in it."""


class DecodeTimeout(ItemError):
    """Decoding the file took longer than is allowed."""


class ArtifactUnsupported(ItemError):
    """An artifact of this kind cannot be made of this source."""


class SeriesIncomplete(ItemError):
    """Slices of the series are missing or lie several at one place."""


class ArchiveInvalid(ItemError):
    """The archive is damaged or of a form that this service does not open."""


class ArchiveTooLarge(ItemError):
    """The archive holds more than this service opens."""


class ArchiveNested(ItemError):
    """The archive's member is an archive itself and is not opened."""


class BurnedInAnnotation(ItemError):
    """The picture may show burned-in text, and such pictures are not sent to the endpoint here."""


class AssemblyFailed(ItemError):
    """A file of the whole item could not be made."""


class JobHalted(MaskrelayError):
    """A step of the job failed again and again, and the job ended without it."""


class PlanningFailed(JobHalted):
    """The job could not be planned; it ended without a result, and an operator can let it go on."""


class AssemblingFailed(JobHalted):
    """The files of an item could not be made; the job ended without a result, and an operator can let it go on."""


class FinishingFailed(JobHalted):
    """The result could not be written; what was segmented is kept, and an operator can let the job go on."""


class EndpointError(MaskrelayError):
    """The scoring endpoint gave no usable answer."""

    retryable = True


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
    """The endpoint's answer breaks its contract.

    `raw` is the body as it was received: an attribute and no field, so that it is never shown or logged.
    """

    raw: bytes = b""


class StorageError(MaskrelayError):
    """The object store failed."""


class StorageUnavailable(StorageError):
    """The object store cannot be reached."""

    retryable = True


class ObjectExists(StorageError):
    """An object of this key is there already."""


class ObjectMissing(StorageError):
    """There is no object of this key."""


class KeyInvalid(StorageError):
    """The key is not one this store takes."""


class RecordUnreadable(StorageError):
    """A stored record cannot be read."""


class LedgerUnavailable(MaskrelayError):
    """The ledger (Redis) cannot be reached."""

    retryable = True


class LedgerFull(LedgerUnavailable):
    """The ledger's memory is nearly used up: no new job is taken until others have ended."""


class EndpointsUnknown(LedgerUnavailable):
    """No worker has announced an endpoint yet, since Redis is new; they announce them again within seconds."""


class IssuerUnavailable(MaskrelayError):
    """The issuer of tokens cannot be asked for its keys."""

    retryable = True


class SignatureInvalid(MaskrelayError):
    """The callback's signature does not fit its secret, body and time."""


class SealInvalid(MaskrelayError):
    """The sealed secret does not open under this server key and for this job."""


class ClientError(MaskrelayError):
    """The client got no answer it can use."""


class ServiceUnreachable(ClientError):
    """The service cannot be reached."""

    retryable = True


class ServiceAnswerUnknown(ClientError):
    """The service answered something this client does not read."""


class WaitTimeout(ClientError):
    """The job is not finished yet."""

    retryable = True


class StackError(MaskrelayError):
    """The embedded stack cannot run."""

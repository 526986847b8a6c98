"""Every error of maskrelay, as one tree.

    MaskrelayError
    ├── SettingsError
    ├── RequestError                 the request of a caller is refused
    │   ├── Malformed
    │   │   └── BodyIncomplete
    │   ├── Unauthenticated
    │   ├── ScopeMissing
    │   ├── NotFound
    │   ├── MethodNotAllowed
    │   ├── Gone
    │   ├── Conflict
    │   │   ├── StillAccepting
    │   │   ├── NotCancellable
    │   │   ├── NotEnded
    │   │   └── NothingToRedrive
    │   ├── BodyTooLarge
    │   ├── EncodingUnsupported
    │   ├── RangeNotSatisfiable
    │   ├── QuotaReached             the tenant has reached a quota
    │   │   ├── JobsQuotaReached
    │   │   ├── FramesQuotaReached
    │   │   ├── InteractiveQuotaReached
    │   │   └── BytesQuotaReached
    │   └── Refused                  the request is well-formed but not acceptable
    │       ├── ArtifactsElsewhere
    │       ├── NestedTooDeep
    │       ├── NoItems
    │       ├── TooManyItems
    │       ├── TooManyWatches
    │       ├── NoPrompts
    │       ├── TooManyPrompts
    │       ├── PromptEmpty
    │       ├── PromptTooLong
    │       ├── PromptHasAmpersand
    │       ├── PromptHasControl
    │       ├── LineInvalid
    │       ├── TooManyRejected
    │       ├── OptionUnknown
    │       ├── OptionInvalid
    │       ├── CustomIdDuplicate
    │       ├── UploadUnknown
    │       ├── UploadExpired
    │       ├── UploadGone
    │       ├── SourceInvalid
    │       ├── CredentialUnknown
    │       ├── SourceNotAllowed
    │       ├── LaneForbidden
    │       ├── CodesInvalid
    │       ├── IdempotencyKeyReused
    │       └── CallbackForbidden
    ├── ItemError                    one item fails, and the others continue
    │   ├── NotAnImage
    │   ├── Truncated
    │   ├── UnsupportedImage
    │   ├── TooManyPixels
    │   ├── DecodeTooLarge
    │   ├── ZeroSized
    │   ├── NoPixels
    │   ├── NotAPicture
    │   ├── HiddenFile
    │   ├── ViewerPicture
    │   ├── DirectoryFile
    │   ├── TagInvalid
    │   ├── UnsupportedTransferSyntax
    │   ├── FrameOutOfRange
    │   ├── VolumeNeeded
    │   ├── SourceMissing
    │   ├── SourceNotFound
    │   ├── SourceForbidden
    │   ├── SourceChanged
    │   ├── SourceUnpinned
    │   ├── IdentifierUnmapped
    │   ├── SourceTooLarge
    │   ├── DecoderCrashed
    │   ├── DecodeTimeout
    │   ├── SeriesIncomplete
    │   ├── ArchiveInvalid
    │   ├── ArchiveTooLarge
    │   ├── ArchiveNested
    │   ├── BurnedInAnnotation
    │   ├── ArtifactUnsupported
    │   └── AssemblyFailed
    ├── JobHalted                    the job ended without a result
    │   ├── PlanningFailed
    │   ├── AssemblingFailed
    │   ├── FinishingFailed
    │   ├── ManifestInvalid
    │   └── ListingEmpty
    ├── EndpointError                the scoring endpoint returned no usable answer
    │   ├── EndpointBusy             the frame waits, and no attempt is counted
    │   │   ├── EndpointThrottled
    │   │   ├── EndpointTimeout
    │   │   ├── EndpointUnavailable
    │   │   │   └── ProxyUnavailable
    │   │   └── EndpointDenied
    │   │       └── ProxyDenied
    │   └── FrameRefused             it may count as an attempt of the frame
    │       ├── ScoringFailed
    │       ├── RequestTooLarge
    │       └── AnswerInvalid
    ├── StorageError
    │   ├── StorageUnavailable
    │   │   └── SourceUnavailable    the frame or the step waits, and no attempt is counted
    │   ├── ObjectExists
    │   ├── ObjectMissing
    │   ├── KeyInvalid
    │   └── RecordUnreadable
    ├── TableError                   rows cannot be added to a result table
    │   ├── TableForeignCommit
    │   ├── TableProtocolUnsupported
    │   ├── TableSchemaDifferent
    │   └── TableLogDamaged
    ├── LedgerUnavailable
    │   ├── LedgerFull               the ledger accepts no new jobs
    │   └── EndpointsUnknown         no worker has announced an endpoint yet
    ├── IssuerUnavailable
    ├── SignatureInvalid
    ├── SealInvalid
    ├── ClientError                  the client received no usable answer
    │   ├── ServiceUnreachable
    │   ├── ServiceAnswerUnknown
    │   └── WaitTimeout
    ├── AzureError                   Azure's control plane did not do what was requested
    │   ├── AzureUnreachable
    │   ├── AzureBusy
    │   ├── AzureDenied
    │   ├── AzureMissing
    │   ├── AzureRefused
    │   ├── AzureFailed
    │   ├── AzureUnfinished
    │   ├── QuotaExceeded
    │   ├── AzureNameTaken
    │   └── AzureNameInvalid
    └── StackError

The docstring of a class is its public message. The name of the class, in lower case with underscores, is its stable
`code`. `retryable` says whether the same request can succeed later. `detail` says what is specific to one error. Values
that code needs are attributes of the error. `detail` never contains a secret, a pixel or patient data. It contains no
path either, except in errors that only an operator sees, such as StackError. HTTP statuses are defined only in
`api/http/middleware/problems.py`.
"""

from collections.abc import Iterator

from maskrelay.errors.base import *  # noqa: F403
from maskrelay.errors.base import MaskrelayError
from maskrelay.errors.control_plane import *  # noqa: F403 - one tree in five files, imported from here
from maskrelay.errors.requests import *  # noqa: F403
from maskrelay.errors.table_errors import *  # noqa: F403
from maskrelay.errors.work import *  # noqa: F403


def tree(root: type[MaskrelayError] = MaskrelayError, depth: int = 0) -> Iterator[tuple[int, type[MaskrelayError]]]:
    """Yield `root` and every class below it with its depth: depth first, and in the order of definition."""
    yield depth, root
    for leaf in root.__subclasses__():
        yield from tree(leaf, depth + 1)

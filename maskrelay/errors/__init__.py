"""Every error of maskrelay, as one tree.

    MaskrelayError
    ├── SettingsError
    ├── RequestError                 the caller's request is refused
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
    │   ├── QuotaReached             the tenant has enough under way
    │   │   ├── JobsQuotaReached
    │   │   ├── FramesQuotaReached
    │   │   ├── InteractiveQuotaReached
    │   │   └── BytesQuotaReached
    │   └── Refused                  well-formed, and still not accepted
    │       ├── NestedTooDeep
    │       ├── NoItems
    │       ├── TooManyItems
    │       ├── NoPrompts
    │       ├── TooManyPrompts
    │       ├── PromptEmpty
    │       ├── PromptTooLong
    │       ├── PromptHasAmpersand
    │       ├── PromptHasControl
    │       ├── OptionUnknown
    │       ├── OptionInvalid
    │       ├── CustomIdDuplicate
    │       ├── UploadUnknown
    │       ├── UploadExpired
    │       ├── UploadGone
    │       ├── LaneForbidden
    │       ├── CodesInvalid
    │       ├── IdempotencyKeyReused
    │       └── CallbackForbidden
    ├── ItemError                    one item fails, its neighbours do not
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
    │   └── FinishingFailed
    ├── EndpointError                the scoring endpoint did not give an answer
    │   ├── EndpointBusy             the work waits, nobody is charged
    │   │   ├── EndpointThrottled
    │   │   ├── EndpointTimeout
    │   │   ├── EndpointUnavailable
    │   │   │   └── ProxyUnavailable
    │   │   └── EndpointDenied
    │   │       └── ProxyDenied
    │   └── FrameRefused             may be held against the frame
    │       ├── ScoringFailed
    │       ├── RequestTooLarge
    │       └── AnswerInvalid
    ├── StorageError
    │   ├── StorageUnavailable
    │   ├── ObjectExists
    │   ├── ObjectMissing
    │   ├── KeyInvalid
    │   └── RecordUnreadable
    ├── LedgerUnavailable
    │   ├── LedgerFull               takes no new jobs
    │   └── EndpointsUnknown         no worker has announced an endpoint yet
    ├── IssuerUnavailable
    ├── SignatureInvalid
    ├── SealInvalid
    ├── ClientError                  the client got no answer it can use
    │   ├── ServiceUnreachable
    │   ├── ServiceAnswerUnknown
    │   └── WaitTimeout
    ├── AzureError                   Azure's control plane did not do what was asked
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

The class's docstring is its public message; its name in lower case is its stable `code`; `retryable` says whether
the same request can succeed later. What varies goes into `detail`, and into a typed attribute where code reads it:
never a path, a secret, a pixel or patient data. HTTP statuses live in `api/http/middleware/problems.py` alone.
"""

from collections.abc import Iterator

from maskrelay.errors.base import *  # noqa: F403
from maskrelay.errors.base import MaskrelayError
from maskrelay.errors.control_plane import *  # noqa: F403 - one tree in four files, imported from here
from maskrelay.errors.requests import *  # noqa: F403
from maskrelay.errors.work import *  # noqa: F403


def tree(root: type[MaskrelayError] = MaskrelayError, depth: int = 0) -> Iterator[tuple[int, type[MaskrelayError]]]:
    """Every class below and with `root`, depth first, in the order of definition."""
    yield depth, root
    for leaf in root.__subclasses__():
        yield from tree(leaf, depth + 1)

"""The errors of `maskrelay endpoint` when it calls Azure's control plane."""

from collections.abc import Sequence

from maskrelay.errors.base import MaskrelayError


class AzureError(MaskrelayError):
    """Azure's control plane did not do what was requested."""

    def __init__(
        self, detail: str | None = None, *, ways: Sequence[str] = (), azure: str = "", codes: Sequence[str] = ()
    ) -> None:
        super().__init__(detail)
        #: Sentences that say what the user can do next.
        self.ways = tuple(ways)
        #: The message from Azure, or an empty string if there was none.
        self.azure = azure
        #: The error codes from Azure, the outermost first.
        self.codes = tuple(codes)


class AzureUnreachable(AzureError):
    """Azure's control plane cannot be reached."""

    retryable = True


class AzureBusy(AzureError):
    """Azure is already changing the same resource, or asks to retry later."""

    retryable = True


class AzureDenied(AzureError):
    """Azure does not permit this identity to do what was requested."""


class AzureMissing(AzureError):
    """The resource does not exist in Azure."""


class AzureRefused(AzureError):
    """Azure refuses the request."""


class AzureFailed(AzureError):
    """Azure started the operation, but the operation failed."""


class AzureUnfinished(AzureError):
    """The operation in Azure is not finished, and the time limit for waiting has passed."""

    retryable = True


class QuotaExceeded(AzureError):
    """The subscription's quota, or the region's capacity, is not enough."""


class AzureNameTaken(AzureError):
    """Another endpoint in the region has this name."""


class AzureNameInvalid(AzureError):
    """Azure does not accept the name for an endpoint or a deployment."""

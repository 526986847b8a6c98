"""What goes wrong between `maskrelay endpoint` and Azure's control plane."""

from collections.abc import Sequence

from maskrelay.errors.base import MaskrelayError


class AzureError(MaskrelayError):
    """Azure's control plane did not do what was asked."""

    def __init__(
        self, detail: str | None = None, *, ways: Sequence[str] = (), azure: str = "", codes: Sequence[str] = ()
    ) -> None:
        super().__init__(detail)
        #: What to do next, one sentence each.
        self.ways = tuple(ways)
        #: Azure's own words, if it said any.
        self.azure = azure
        #: Azure's own codes, outermost first.
        self.codes = tuple(codes)


class AzureUnreachable(AzureError):
    """Azure's control plane cannot be reached."""

    retryable = True


class AzureBusy(AzureError):
    """Azure is already at work on the same resource, or asks for patience."""

    retryable = True


class AzureDenied(AzureError):
    """Azure does not permit this identity to do it."""


class AzureMissing(AzureError):
    """Azure does not know the resource."""


class AzureRefused(AzureError):
    """Azure refuses the request."""


class AzureFailed(AzureError):
    """Azure began the work, and it failed."""


class AzureUnfinished(AzureError):
    """Azure is still at work, and the patience for it has ended."""

    retryable = True


class QuotaExceeded(AzureError):
    """The subscription's quota, or the region's capacity, is not enough."""


class AzureNameTaken(AzureError):
    """Another endpoint of the region has this name."""


class AzureNameInvalid(AzureError):
    """The name is not one that Azure takes for an endpoint or a deployment."""

"""The choice of smaller encodings of an image for a deployment without lean2d.

A grayscale PNG and a WebP are smaller than an RGB PNG, but it is not known whether a deployment reads them correctly.
One worker finds this out for all workers, when the limit on bytes makes scores wait or when it has scored many images.
It sends one test image as an RGB PNG and as a grayscale PNG, and a second test image as an RGB PNG and as a WebP. A
smaller encoding is used only if the two answers are equal bit for bit. An answer to a smaller encoding is used only if
it is from the deployment that was tested. If another deployment has answered, the rows are sent again as RGB PNGs.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from maskrelay.contract.wire.image2d import Row, RowAnswer
from maskrelay.endpoints import Endpoint
from maskrelay.errors import AnswerInvalid, EndpointError, FrameRefused
from maskrelay.imaging.canvas.canary import gray_pair, webp_pair
from maskrelay.imaging.canvas.encode import CanvasCoding, as_png, is_accepted
from maskrelay.ledger.deployment_offers import DeploymentOffers, PictureForms
from maskrelay.scoring.endpoint_client import Scored
from maskrelay.scoring.statuses import refuses_the_form
from worker.segment.offer_cache import OfferCache

log = logging.getLogger(__name__)
#: After this many images, a child process sends the four test images even if bytes are not the limit. A grayscale PNG
#: also takes less CPU time than an RGB PNG, but a deployment that scores only a few images is not worth the test.
MANY = 64
#: A function that scores a test image. It returns None if the deployment refuses the image.
ScoreTest = Callable[[Row], Awaitable[Scored[RowAnswer] | None]]


class PictureChoice:
    """The encodings that deployments read, as one child process knows them. An instance belongs to one event loop."""

    def __init__(self, forms: DeploymentOffers[PictureForms]) -> None:
        self._forms = OfferCache(forms)
        self._scored: Counter[str] = Counter()

    def accepted(self, endpoint: Endpoint) -> CanvasCoding:
        """Return the encodings that images in an image2d request to the endpoint may have."""
        forms = self._forms.usable(endpoint)
        if forms is None:
            return CanvasCoding(gray=endpoint.gray)
        return CanvasCoding(gray=endpoint.gray or forms.gray, webp=forms.webp)

    def tested(self, endpoint: Endpoint) -> str | None:
        """Return the deployment for which `accepted` is right, or None if it is what every deployment accepts."""
        forms = self._forms.usable(endpoint)
        return forms.deployment if forms is not None and (forms.gray or forms.webp) else None

    async def must_ask(self, endpoint: Endpoint, *, bytes_bind: bool) -> bool:
        """Return whether this child process must now send the test images. Raises LedgerUnavailable.

        `bytes_bind` says whether the limit on bytes makes scores wait.
        """
        is_worth_it = bytes_bind or self._scored[endpoint.name] >= MANY
        return is_worth_it and await self._forms.must_ask(endpoint)

    async def ask(self, endpoint: Endpoint, score: ScoreTest) -> None:
        """Send the test images, and store which smaller encodings have the same answer as the RGB PNG."""
        (gray, gray_from), (webp, webp_from) = [await _compared(pair, score) for pair in (gray_pair(), webp_pair())]
        named = gray_from | webp_from
        one = len(named) == 1
        forms = PictureForms(endpoint.model_version, max(named, default=""), gray=one and gray, webp=one and webp)
        log.info("encodings compared", extra={"endpoint": endpoint.name, "gray": forms.gray, "webp": forms.webp})
        self._forms.allow(endpoint)
        await self._forms.keep(endpoint, forms)

    async def compare(
        self, endpoint: Endpoint, tested: str | None, rows: Sequence[Row], scored: Scored[RowAnswer]
    ) -> bool:
        """Return whether the answer to `rows` may be used. `tested` is what `tested` returned when they were encoded.

        If the answer is not from the deployment that was tested, forget which encodings are accepted.
        """
        self._scored[endpoint.name] += len(rows)
        forms = self._forms.known(endpoint)
        if forms is not None and (forms.gray or forms.webp) and forms.deployment != scored.deployment:
            await self._forms.forget(endpoint)
        return tested in (None, scored.deployment) or _are_plain(endpoint, rows)

    def falls_back(self, endpoint: Endpoint, rows: Sequence[Row], error: EndpointError) -> bool:
        """Return whether a smaller encoding may have caused the error. The rows are then sent again without it."""
        if _are_plain(endpoint, rows):
            return False
        if not (refuses_the_form(error) or isinstance(error, AnswerInvalid | FrameRefused)):
            return False
        self._forms.refuse(endpoint)
        return True


def _are_plain(endpoint: Endpoint, rows: Sequence[Row]) -> bool:
    """Return whether every deployment of the endpoint accepts the images."""
    plain = CanvasCoding(gray=endpoint.gray)
    return all(is_accepted(row.image, plain) for row in rows)


async def _compared(pair: tuple[Row, Row], score: ScoreTest) -> tuple[bool, set[str]]:
    """Score both images. Return whether the answers are equal and not empty, and the deployments that answered."""
    scored = [each for row in pair if (each := await score(row)) is not None]
    equal = len(scored) == 2 and scored[0].answers == scored[1].answers
    empty = any(not any(answer.maps.raw) for each in scored for answer in each.answers)
    return equal and not empty, {each.deployment for each in scored}


async def accepted_rows(rows: Sequence[Row], accepted: CanvasCoding) -> Sequence[Row]:
    """Return the rows for an image2d request. Images that are not accepted are converted to PNGs."""
    if all(is_accepted(row.image, accepted) for row in rows):
        return rows

    def encoded() -> Sequence[Row]:
        return [
            row if is_accepted(row.image, accepted) else Row(as_png(row.image, gray=accepted.gray), row.prompts)
            for row in rows
        ]

    return await asyncio.to_thread(encoded)

"""Smoke test: score a drawing of the retina with the service's own client. Needs the extra `worker`."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt
from pydantic import SecretStr

from maskrelay.contract.wire.image2d import CANVAS, Row, RowAnswer
from maskrelay.endpoints import Endpoint
from maskrelay.imaging.canvas.encode import canvas_png
from maskrelay.scoring.credentials import Key
from maskrelay.scoring.endpoint_client import Scored
from maskrelay.scoring.one_off import score_once

PROMPT = "optic disc in retinal fundus"
#: The centre (x, y) and the radius of the drawn optic disc, in canvas pixels.
_DISC, _RADIUS = (660, 500), 80


@dataclass(frozen=True, slots=True)
class SmokeTestResult:
    """The result of a smoke test."""

    scored: Scored[RowAnswer]
    #: The overlap of the mask and the drawn disc (intersection over union), 0..1.
    overlap: float
    #: The area of the mask in pixels.
    area: int
    #: The greatest value in the probability map, 0..255. A value of 1 suggests the encoding `binary01`.
    largest: int


def fundus() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """Return a drawing of the retina, (1024, 1024, 3) uint8, and the mask of its optic disc, (1024, 1024) bool."""
    eye = _within((CANVAS // 2, CANVAS // 2), 490)
    disc = _within(_DISC, _RADIUS)
    picture = np.zeros((CANVAS, CANVAS, 3), np.uint8)
    picture[eye] = (172, 84, 40)
    picture[_within((400, 520), 70)] = (120, 50, 28)
    picture[disc] = (245, 214, 140)
    return picture, disc


def score(url: str, bearer: str, timeout: timedelta, proxy: SecretStr | None = None) -> SmokeTestResult:
    """Score the drawing at a scoring URI. Raises EndpointError, and SettingsError if the URI cannot be used."""
    picture, disc = fundus()
    row = Row(canvas_png(picture), (PROMPT,))
    endpoint, key = Endpoint.model_validate({"url": url, "key": bearer, "proxy": proxy}), Key(SecretStr(bearer))
    scored = score_once(endpoint, key, row, timeout=timeout, request_id="maskrelay-endpoint-test")
    maps = scored.answers[0].maps
    values = np.frombuffer(maps.raw, np.dtype(maps.dtype)).reshape(maps.shape)[0].astype(np.float32)
    mask = values >= (128 if maps.dtype == "uint8" else 0.5)
    either = int(np.count_nonzero(mask | disc))
    return SmokeTestResult(
        scored, np.count_nonzero(mask & disc) / either, int(np.count_nonzero(mask)), int(values.max())
    )


def _within(middle: tuple[int, int], radius: int) -> npt.NDArray[np.bool_]:
    """Return a mask, (1024, 1024) bool, of the pixels closer than `radius` to the point (x, y)."""
    x, y = middle
    across, down = np.arange(CANVAS) - x, np.arange(CANVAS) - y
    inside: npt.NDArray[np.bool_] = down[:, None] ** 2 + across[None, :] ** 2 < radius**2
    return inside

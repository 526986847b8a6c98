"""How well readers agree, and how many masks are wrong, as far as a sample can tell."""

import hashlib
import heapq
import math
from collections.abc import Iterable, Sequence

#: The quantile of the normal distribution for intervals that contain the true rate with a probability of 95 %.
_Z = 1.959963984540054


def cohens_kappa(pairs: Sequence[tuple[bool, bool]]) -> tuple[float, float | None]:
    """Return the observed agreement of two readers, and Cohen's κ.

    `pairs` contains both verdicts for each item that both readers have judged, at least one. κ is
    (p_o − p_e) / (1 − p_e), where p_o is the observed agreement, and p_e the agreement that is expected by chance from
    how often each reader accepts (J. Cohen, Educational and Psychological Measurement 20, 1960). κ is None if p_e is 1,
    that is, if both readers gave all items the same verdict.
    """
    n = len(pairs)
    observed = sum(first == second for first, second in pairs) / n
    first_rate, second_rate = (sum(pair[reader] for pair in pairs) / n for reader in (0, 1))
    expected = first_rate * second_rate + (1 - first_rate) * (1 - second_rate)
    return observed, (observed - expected) / (1 - expected) if expected < 1 else None


def error_interval(wrong: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of an error rate, of which `wrong` of `total` items were found, at least one in all.

    It is Wilson's score interval (E. B. Wilson, JASA 22, 1927), which is also usable for few items and for rates near
    zero.
    """
    rate, z2 = wrong / total, _Z * _Z
    centre = rate + z2 / (2 * total)
    half = _Z * math.sqrt(rate * (1 - rate) / total + z2 / (4 * total * total))
    scale = 1 + z2 / total
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def sample_order(job: str, items: Iterable[int], size: int) -> list[int]:
    """Return at most `size` of the items in a random order, which is always the same for the same job.

    The order is that of the hashes of job and item. A larger sample begins with the smaller one.
    """

    def place(item: int) -> bytes:
        return hashlib.sha256(f"{job} {item}".encode()).digest()

    return heapq.nsmallest(size, items, key=place)

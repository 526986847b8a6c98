"""The limit on bytes under saturation, in virtual time: it is used, and no ten seconds exceed it noticeably."""

import pytest

from tests.support.drivers.byte_flow import ByteFlow, Load
from tests.support.servers.valkeys import RunningValkey

LIMIT = 5e6
SECONDS, SETTLED = 30.0, 5.0
GRAY = Load(140_000, 20_000, 0.3)
LOADS = {
    "lean, gray, a slow model": Load(140_000, 20_000, 1.0),
    "lean, gray, late children": Load(140_000, 20_000, 0.3, late=(0.01, 0.06)),
    "lean, colour": Load(800_000, 60_000, 0.3),
    "stock, one prompt": Load(900_000, 1_400_000, 0.3, lean=False),
    "stock, one prompt, a slow model": Load(900_000, 1_400_000, 1.0, lean=False),
    "stock, three prompts": Load(900_000, 4_200_000, 0.3, lean=False, prompts=3),
}


@pytest.mark.parametrize("load", LOADS.values(), ids=LOADS)
def test_the_limit_is_used_and_no_ten_seconds_exceed_it(valkey: RunningValkey, load: Load) -> None:
    passed = ByteFlow(valkey, load, limit=LIMIT, seed=1).play(SECONDS)
    assert passed.most() <= 1.01
    assert passed.use(SETTLED, SECONDS) >= 0.98


def test_the_workers_own_limit_suffices_where_requests_are_small(valkey: RunningValkey) -> None:
    passed = ByteFlow(valkey, GRAY, limit=LIMIT, seed=1, delays=False).play(SECONDS)
    assert passed.most() <= 1.01
    assert passed.use(SETTLED, SECONDS) >= 0.98

"""A listener whose network is gone, without a FIN or a reset: network namespaces with a link taken down."""

import json
import os
import subprocess
import sys

from tests.e2e.programs import require

# TCP_USER_TIMEOUT is 20 s from the first byte that is not acknowledged; the batch before it may be half a second old.
SOONEST_S, LATEST_S = 15.0, 25.0


def test_listener_that_acknowledges_nothing_for_20_s_is_dropped() -> None:
    unshare = [require("unshare"), "--net", "--mount"]
    if os.geteuid() != 0:
        unshare += ["--user", "--map-root-user"]
    done = subprocess.run(
        [*unshare, sys.executable, "-m", "tests.e2e.lost_network"], capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stderr
    assert SOONEST_S <= json.loads(done.stdout)["seconds"] <= LATEST_S

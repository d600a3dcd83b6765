"""Requests a path of a server repeatedly and prints how long each answer took: a process of its own, so that the load
generator's sweeps do not count as the server's delay.

`python -m benchmarks.probe PORT PATH SECONDS` prints one JSON object: the statuses seen and the sorted seconds.
"""

import http.client
import json
import sys
import time

_PAUSE_S = 0.05


def main() -> int:
    """Probes until the time is over."""
    port, path, seconds = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    end = time.monotonic() + seconds
    took: list[float] = []
    statuses: dict[int, int] = {}
    while time.monotonic() < end:
        began = time.perf_counter()
        status = _ask(port, path)
        took.append(time.perf_counter() - began)
        statuses[status] = statuses.get(status, 0) + 1
        time.sleep(_PAUSE_S)
    print(json.dumps({"statuses": statuses, "seconds": sorted(took)}))
    return 0


def _ask(port: int, path: str) -> int:
    """Returns the status of one answer, 0 if there was none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except OSError:
        return 0
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())

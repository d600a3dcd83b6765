"""One trial by hand: `python -m benchmarks.once pycast --listeners 500 --icy` prints what it measured as JSON.

Has no bars and writes no file; made for trying something out and for the generator's own test. The invariant: exit
status 0 means that every listener got every byte it should have and every checked frame was right.
"""

import argparse
import json
import sys

from benchmarks.plan import SERVERS, read_plan
from benchmarks.servers import ServerError
from benchmarks.source import SourceError
from benchmarks.trial import TITLE, Stage


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("server", choices=SERVERS)
    parser.add_argument("--listeners", type=int, default=100)
    parser.add_argument("--mounts", type=int, default=1)
    parser.add_argument("--icy", action="store_true", help="ask for ICY titles (not served by the floor)")
    parser.add_argument("--seconds", type=float, default=10.0, help="the measured time")
    parser.add_argument("--flush", type=float, default=0.5, help="the floor's flush interval in seconds")
    options = parser.parse_args()
    plan = read_plan("", ["--span", str(options.seconds), "--scale", "0.1"])
    try:
        mounts = [f"/m{i}.mp3" for i in range(options.mounts)]
        with Stage(plan, options.server, mounts, flush_s=options.flush, title=TITLE if options.icy else "") as stage:
            stage.connect(options.listeners, is_icy=options.icy)
            figures = stage.measure("icy" if options.icy else "plain")
    except (ServerError, SourceError) as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(figures.as_row(), indent=1))
    outcome = figures.outcome
    is_right = outcome.playing == outcome.players and outcome.least_share == 1 and not outcome.frame_errors
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())

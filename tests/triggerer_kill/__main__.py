"""Waiting through kills of the triggerer: `python -m tests.triggerer_kill [--seed N] [--keep]`."""

import argparse
import random
import sys
import time

from demo.harness import Harness
from tests.triggerer_kill import questions
from tests.triggerer_kill.edits import Script
from tests.triggerer_kill.play import Play
from tests.triggerer_kill.report import report
from tests.triggerer_kill.world import World

_SENSORS = {"hiringcenter": 140, "builderprime": 60}
_IN_VAIN = 10
_STORIES, _BYSTANDERS = 24, 20  # of each vendor
# Long enough, on a slow machine too, for some of them to live through the kill; over before somebody who began anew
# would be through.
_PATIENCE = (90.0, 170.0)


def main() -> int:
    """Plays it once; 0 if nothing that must hold was violated."""
    parser = argparse.ArgumentParser(prog="python -m tests.triggerer_kill", description=__doc__)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--keep", action="store_true", help="keep the folder with all logs also if all went well")
    arguments = parser.parse_args()
    start = time.monotonic()
    chance = random.Random(arguments.seed)  # noqa: S311 - repeatable on purpose
    plan = questions.draw(chance, sensors=_SENSORS, in_vain=_IN_VAIN, retry_limits=_PATIENCE)
    with Harness("waiting", keeps_folder=arguments.keep) as harness:
        world = World(harness.folder, harness.processes)
        script = Script(world, chance, stories=_STORIES, bystanders=_BYSTANDERS)
        play = Play(world, plan, script, chance, harness.clock.say)
        play.boot(seed=arguments.seed)
        play.run()
        problems = play.judge()
        harness.succeeded = not problems
    print(f"\n{report(play)}\n")
    for problem in problems:
        print(f"VIOLATED  {problem}")
    seconds = time.monotonic() - start
    print(
        f"{'FAILED' if problems else 'All held'}: {len(problems)} violations, {seconds:.0f} s, seed {arguments.seed}."
    )
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Torments maild for as long as it is told: `make torture SECONDS=3600`, `make torture KILLS=3000`. Each round has a
directory and a seed of its own; a round that goes wrong is said with its seed, and its directory is kept.

With `make torture FLEET=4` it is so many nodes on one PostgreSQL that are tormented, and the database with them."""

import argparse
import math
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

import fleet_harness
from crash_harness import torment
from maild import Maild
from network import Network, obstacle
from smtp_judge import SMTPJudge

ROUND_DEATHS = 50


def play(seed, directory, end, kills_max):
    """How often it was killed, and what is wrong."""
    server = SMTPJudge().start()
    maild = Maild(directory, workers=8, retry={"first_seconds": 0.2, "wait_seconds_max": 0.5}, relay=server.settings())
    try:
        maild.start()
        _, kills, faults = torment(
            maild, server, maild.spawn, seed,
            lambda deaths, kills: deaths < ROUND_DEATHS and kills < kills_max and time.monotonic() < end)
        return kills, faults
    finally:
        maild.clean_up()
        server.stop()


FLEET_TROUBLES = 25


def play_fleet(seed, directory, nodes):
    """How many troubles there were, and what is wrong. Where there can be no network of its own, no link is cut."""
    stage = fleet_harness.Stage(directory, nodes, None if obstacle() else Network())
    try:
        return FLEET_TROUBLES, fleet_harness.torment(stage, seed, shorts=FLEET_TROUBLES)[1]
    finally:
        stage.clean_up()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=math.inf, help="how long (600, where no kills are counted)")
    parser.add_argument("--kills", type=float, default=math.inf, help="SIGKILLs after which it is enough")
    parser.add_argument("--fleet", type=int, help="so many nodes on one PostgreSQL")
    parser.add_argument("--seed", type=int, help="of the first round; without it they are drawn")
    options = parser.parse_args()
    seconds = 600 if options.seconds == options.kills == math.inf else options.seconds
    end, rounds, kills = time.monotonic() + seconds, 0, 0
    while time.monotonic() < end and kills < options.kills:
        seed = options.seed if rounds == 0 and options.seed is not None else random.SystemRandom().randrange(1 << 32)
        directory = Path(tempfile.mkdtemp(prefix="maild-torture-"))
        print(f"round {rounds + 1}, --seed {seed}", flush=True)
        try:
            if options.fleet:
                killed, faults = play_fleet(seed, directory, options.fleet)
            else:
                killed, faults = play(seed, directory, end, options.kills - kills)
        except AssertionError as error:
            killed, faults = 0, [str(error)]
        kills += killed
        if faults:
            print(f"seed {seed} went wrong, {directory} is kept:", *faults[:20], sep="\n  ")
            return 1
        shutil.rmtree(directory)
        rounds += 1
    print(f"{kills} kills in {rounds} rounds, nothing wrong")
    return 0


if __name__ == "__main__":
    sys.exit(main())

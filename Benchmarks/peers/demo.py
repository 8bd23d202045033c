# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""The channels of Benchmarks/demo: jobs in memory behind a web handler, loaded by httpload.c."""

import json
import urllib.request

from processes import PROGRAMS, Failure, Process, run_program, version_of, wait_for

QUERY = "/email?to=u@bench.example&from=app@example.org&subject=A+measured+message&content=" + "x" * 200


class Demo(Process):
    name = "channels in memory"
    settings = "Benchmarks/demo: net/http, a channel of 10, 4 workers that sleep up to 200 ms; nothing survives"

    def __init__(self, directory):
        super().__init__([PROGRAMS / "demo"], directory / "demo.log")

    @staticmethod
    def version():
        return version_of("go", "version")

    def __enter__(self):
        text = wait_for(lambda: self.check_alive() and self.log.read_text(), "the demo listens")
        self.port = int(text)
        return self

    def rate(self, connections, jobs):
        """Accepted a second; what is done by then is said."""
        figures = run_program("httpload", "-p", self.port, "-c", connections, "-n", jobs, "-u", QUERY)
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/count") as answer:
            counts = json.load(answer)
        if counts["accepted"] != jobs:
            raise Failure(f"{jobs} jobs, {counts['accepted']} accepted")
        print(f"    of {jobs} accepted {counts['done']} are done, {counts['goroutines']} goroutines wait")
        return figures["requests_per_s"]

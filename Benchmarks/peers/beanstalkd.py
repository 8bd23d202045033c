# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""beanstalkd that syncs its log at each write (`-f 0`), loaded by beanload.c."""

import socket

from processes import Process, free_port, run_program, version_of, wait_for


class Beanstalkd(Process):
    name = "beanstalkd"
    settings = "-b DIR -f 0"

    def __init__(self, directory):
        self.port = free_port()
        super().__init__(
            ["beanstalkd", "-l", "127.0.0.1", "-p", self.port, "-b", directory, "-f", 0], directory / "beanstalkd.log")

    @staticmethod
    def version():
        return version_of("beanstalkd", "-v")

    def __enter__(self):
        wait_for(lambda: self.check_alive() and self.is_listening(), "beanstalkd listens")
        return self

    def is_listening(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def rate(self, putters, takers, jobs):
        """Jobs a second from the first put to the last answer; with takers to the last deletion."""
        return run_program("beanload", "-p", self.port, "-c", putters, "-t", takers, "-n", jobs)["jobs_per_s"]

# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""A disk that does not answer: operators and metrics do, and nothing is lost."""

from pathlib import Path

import pytest
from preloads import preload
from submission import job
from waiting import until


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    return preload("hanging_disk", tmp_path_factory.mktemp("disk"))


@pytest.mark.parametrize("jobs", [1, 200], ids=["a job that came alone", "a batch"])
def test_a_disk_that_hangs_in_a_commit_holds_up_nobody_but_submitters(maild, judge, shim, tmp_path, jobs):
    server = judge()
    one = maild(relay=server.settings())
    hanging = tmp_path / "hanging"
    one.spawn(environment={"LD_PRELOAD": str(shim), "HANGING_DISK": str(hanging)})
    one.notices.wait_for("READY=1", alive=one.is_alive)
    one.control.call("Pause")
    with one.submission() as client:
        # So that the disk is known to be quick.
        taken = [client.ask(job())["job"] for _ in range(30)]
        hanging.touch()
        client.send(*[job() for _ in range(jobs)])
        until(Path(f"{hanging}.reached").exists, "a sync hangs")
        assert one.status()["state"] == "running"
        assert one.http("/metrics")[0] == 200
        hanging.unlink()
        taken += [client.answer()["job"] for _ in range(jobs)]
    assert len(set(taken)) == 30 + jobs
    one.control.call("Resume")
    until(lambda: one.status()["delivered_total"] == 30 + jobs, "all are delivered, each once")
    assert len(server.messages) == 30 + jobs

# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""What a scrape costs, and what it leaves alone: the spool."""

from contextlib import ExitStack

from prometheus_client.parser import text_string_to_metric_families as parse_text
from stopped_thread import stopped, threads
from submission import job


def test_it_is_answered_while_nobody_reads_or_writes_the_spool(maild):
    one = maild(queue={"bulk": {"weight": 2}}).start()
    one.control.call("Pause")
    with one.submission() as client:
        client.send(*(job() for _ in range(700)), *(job(queue="bulk", delay=3600) for _ in range(300))).answers(1000)
    one.wait_for_counts(ready=700, scheduled=300)
    with ExitStack() as stack:
        spool = [number for number, name in threads(one.pid) if name in ("spool-writer", "spool-reader")]
        assert len(spool) == 2
        for thread in spool:
            stack.enter_context(stopped(thread))
        for _ in range(3):
            counts = {(sample.labels["queue"], sample.labels["state"]): sample.value
                      for family in parse_text(one.http("/metrics")[2]) if family.name == "maild_jobs"
                      for sample in family.samples}
            assert (counts["default", "ready"], counts["bulk", "scheduled"]) == (700, 300)
            assert one.http("/status.json")[0] == 200
    with one.submission() as client:
        assert "job" in client.ask(job())


def test_it_writes_nothing(maild):
    one = maild().start()
    with one.submission() as client:
        client.ask(job())
    one.wait_for_counts(ready=0, running=0)
    before = commits(one), spool_bytes(one)
    for _ in range(20):
        one.http("/metrics")
    assert (commits(one), spool_bytes(one)) == before


def commits(one):
    [line] = [line for line in one.http("/metrics")[2].splitlines()
              if line.startswith("maild_store_commit_seconds_count ")]
    return line


def spool_bytes(one):
    """All bytes of database and log as they are on disk."""
    return [path.read_bytes() for path in sorted(one.directory.glob("spool.db*")) if not path.name.endswith("-shm")]

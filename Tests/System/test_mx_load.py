# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Delivery by MX with many mails and many domains: nobody is flooded, and nobody waits for somebody else."""

import time

from mx_stage import black_hole, stage  # noqa: F401
from submission import job
from waiting import until


def test_a_domain_gets_no_more_mails_at_a_time_than_configured(stage):
    server = stage.host(2, hold=True)
    stage.names.zone("d.example", "@ MX 0 mx", "mx A 127.0.0.2")
    one = stage.start(relay={"connections_per_domain_max": 3}, workers=32)
    stage.submit_all(*(job(to="a@d.example") for _ in range(40)))
    server.wait_for_held(3)
    one.wait_for_counts(ready=0, running=4)
    assert server.open == server.holding_most == 3
    assert one.counts()["failed"] == 0
    server.release()
    server.wait_for_messages(40)
    assert server.holding_most == 3 and len(server.sessions) == 3 and server.faults == []


def test_a_domain_without_an_answer_holds_up_no_other(stage):
    server = stage.host(2)
    stage.names.zone("good.example", "@ MX 0 mx", "mx A 127.0.0.2")
    stage.names.zone("bad.example", "@ MX 0 mx", "mx A 127.0.0.9")
    with black_hole("127.0.0.9", stage.port):
        one = stage.start(workers=4)
        stage.submit_all(*(job(to="a@bad.example") for _ in range(500)))
        began = time.monotonic()
        stage.submit_all(*(job(to="a@good.example") for _ in range(100)))
        server.wait_for_messages(100)
        assert time.monotonic() - began < 10
        assert one.counts()["failed"] == 0


def test_many_domains_without_an_answer_hold_up_no_other_for_long(stage):
    server = stage.host(2)
    stage.names.zone("good.example", "@ MX 0 mx", "mx A 127.0.0.2")
    for number in range(20):
        stage.names.zone(f"bad{number}.example", "@ A 127.0.0.9")
    with black_hole("127.0.0.9", stage.port):
        stage.start(workers=4)
        stage.submit_all(*(job(to=f"a@bad{number}.example") for number in range(20)))
        began = time.monotonic()
        stage.submit_all(*(job(to="a@good.example") for _ in range(20)))
        server.wait_for_messages(20)
        # Each of them would hold one of four workers for the fifteen seconds of its connection: 75 in all. A worker is
        # given back after a second.
        assert time.monotonic() - began < 12


def test_a_thousand_domains_and_another_thousand_need_no_more_memory(stage):
    servers = [stage.host(number) for number in (2, 3, 4, 5)]
    for number in range(2000):
        stage.names.zone(f"d{number}.example", "@ MX 0 mx", f"mx A 127.0.0.{2 + number % 4}")
    one = stage.start(relay={"connections_max": 64}, workers=32)

    def thousand(first):
        stage.submit_all(*(job(to=f"a@d{number}.example") for number in range(first, first + 1000)))
        until(lambda: sum(len(server.messages) for server in servers) == first + 1000, "all are delivered", 180)
        one.wait_for_counts(ready=0, running=0, scheduled=0, failed=0)
        return one.memory()

    after_one = thousand(0)
    after_two = thousand(1000)
    # Some 3 kB each for a domain, its host and the job's history; a connection's buffers would be ten times that.
    assert after_two - after_one < 8_000, (after_one, after_two)
    assert stage.direct["destinations"] == 2000 and stage.direct["connections"] <= 64
    assert max(server.open for server in servers) <= 64
    assert all(server.faults == [] for server in servers)


def test_a_mail_to_two_hundred_domains_is_one_job_with_a_fate_for_each(stage):
    server = stage.host(2)
    for number in range(200):
        lines = ("@ MX 0 .",) if number % 10 == 3 else ("@ MX 0 mx", "mx A 127.0.0.2")
        stage.names.zone(f"d{number}.example", *lines)
    one = stage.start()
    name = stage.submit(*(f"a@d{number}.example" for number in range(200)))
    history = one.wait_for_state(name, "failed", seconds=40)["history"]
    fates = {fate["recipient"]: fate["verdict"] for attempt in history for fate in attempt["fates"]}
    assert len(fates) == 200 and list(fates.values()).count("rejected") == 20
    assert len(server.messages) == 180


def test_a_stop_puts_off_what_waits_and_the_next_start_delivers_it(stage):
    server = stage.host(2)
    stage.names.zone("d.example", "@ MX 0 mx", "mx A 127.0.0.2")
    stage.names.zone("bad.example", "@ A 127.0.0.9")
    with black_hole("127.0.0.9", stage.port):
        one = stage.start(workers=4)
        name = stage.submit("a@bad.example")
        one.wait_for_counts(running=1)
        assert one.stop() == 0
    one.start()
    stage.deliver("a@d.example")
    assert len(server.messages) == 1
    assert one.show(name)["job"]["state"] in ("ready", "scheduled", "running")

# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""The metrics socket, judged by promtool and by Prometheus' own Python parser."""

import http.client
import socket
import subprocess

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from submission import job
from waiting import until

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
WORKER_METRICS = {
    "worker_jobs_processed": {"worker_id", "type"}, "worker_jobs_running": {"type"}, "worker_workers_running": {"type"},
    "worker_jobs_process_time_seconds": {"worker_id", "type"}}


def families(maild):
    status, headers, text = maild.http("/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return {family.name: family for family in parse_text(text)}


def total(family, suffix="", **labels):
    """The sum of a family's samples that have `labels`."""
    return sum(sample.value for sample in family.samples
               if sample.name.endswith(suffix) and labels.items() <= sample.labels.items())


@pytest.fixture
def busy(maild, judge):
    """A maild that has delivered, refused and failed something, and has two jobs in hand and three waiting."""
    def script(session, verb, argument):
        return "550 5.1.1 gone" if verb == "RCPT" and "gone@" in argument else None

    server = judge(script=script)
    one = maild(workers=2, relay=server.settings()).start()
    with one.submission() as client:
        client.send(*(job() for _ in range(10)), job(to="gone@example.com"), b"{\n").answers(12)
        one.wait_for_counts(ready=0, running=0, failed=1)
        server.hold = True
        client.send(*(job() for _ in range(5)), job(delay=3600)).answers(6)
    server.wait_for_held(2)
    yield one
    server.release()


def test_promtool_finds_nothing_to_complain_of(busy):
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=busy.http("/metrics")[2], text=True, capture_output=True)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_the_four_worker_metrics_have_their_labels_and_true_numbers(busy):
    found = families(busy)
    for name, labels in WORKER_METRICS.items():
        assert found[name].samples, name
        for sample in found[name].samples:
            assert set(sample.labels) - {"le"} == labels, sample
    assert total(found["worker_jobs_processed"], type="email") == 11
    assert total(found["worker_jobs_running"], type="email") == 2
    assert total(found["worker_workers_running"], type="email") == 2
    assert total(found["worker_jobs_process_time_seconds"], "_count", type="email") == 11
    workers = {sample.labels["worker_id"] for sample in found["worker_jobs_processed"].samples}
    assert len(workers) == 2


def test_the_queue_is_told_by_gauges_that_agree_with_the_status(busy):
    found, counts = families(busy), busy.counts()
    for state, number in (("ready", 3), ("scheduled", 1), ("running", 2), ("failed", 1), ("held", 0)):
        assert total(found["maild_jobs"], state=state) == counts[state] == number
    assert total(found["maild_jobs_accepted"]) == 17
    assert total(found["maild_jobs_rejected"], reason="parse_error") == 1
    assert total(found["maild_ready"]) == 1
    assert found["maild_build_info"].samples[0].value == 1
    assert total(found["maild_workers_target"]) == 2
    for name in ("resident_memory_bytes", "cpu_seconds", "open_fds", "start_time_seconds"):
        assert found[f"process_{name}"].samples, name


def test_the_queues_of_the_configuration_are_told_apart(maild, judge):
    server = judge()
    one = maild(workers=2, relay=server.settings(), queue={"bulk": {"weight": 2}, "idle": {"weight": 1}}).start()
    one.control.call("Pause", queue="bulk")
    with one.submission() as client:
        client.send(*(job() for _ in range(3)), *(job(queue="bulk") for _ in range(4)), job(queue="bulk", delay=3600))
        client.answers(8)
    one.wait_for_counts(ready=4, running=0)
    found = families(one)
    for queue, numbers in (("default", (3, 3, 0, 0, 0)), ("bulk", (5, 0, 4, 1, 1)), ("idle", (0, 0, 0, 0, 0))):
        accepted, delivered, ready, scheduled, paused = numbers
        assert total(found["maild_jobs_accepted"], queue=queue, type="email") == accepted
        assert total(found["maild_jobs_completed"], queue=queue, type="email", outcome="delivered") == delivered
        assert total(found["maild_jobs"], queue=queue, type="email", state="ready") == ready
        assert total(found["maild_jobs"], queue=queue, state="scheduled") == scheduled
        assert total(found["maild_queue_wait_seconds"], "_count", queue=queue) == delivered
        assert total(found["maild_queue_paused"], queue=queue) == paused
        assert (total(found["maild_queue_oldest_ready_age_seconds"], queue=queue) > 0) == (queue == "bulk")
    one.control.call("Resume", queue="bulk")
    one.wait_for_counts(ready=0, running=0)
    one.control.call("Pause")
    found = families(one)
    assert {sample.labels["queue"] for sample in found["maild_queue_paused"].samples if sample.value == 1} == {
        "default", "bulk", "idle"}


def test_a_queue_that_leaves_the_configuration_is_told_until_it_is_empty(maild, judge):
    server = judge()
    one = maild(workers=2, relay=server.settings(), queue={"late": {"weight": 1}}).start()
    one.control.call("Pause")
    with one.submission() as client:
        client.send(*(job(queue="late") for _ in range(4))).answers(4)
    one.stop()
    one.configure(workers=2, relay=server.settings(), queue={"new": {"weight": 1}})
    one.start()
    found = families(one)
    assert total(found["maild_jobs"], queue="late", state="ready") == 4
    assert total(found["maild_jobs"], queue="new") == 0 and any(
        sample.labels["queue"] == "new" for sample in found["maild_jobs"].samples)
    one.control.call("Resume")
    one.wait_for_counts(ready=0, running=0)
    assert total(families(one)["maild_jobs_completed"], queue="late", outcome="delivered") == 4


def test_no_metric_carries_an_address_a_job_or_free_text(busy):
    text = busy.http("/metrics")[2]
    for word in ("example.com", "example.org", "gone", "5.1.1"):
        assert word not in text
    with_worker = {family.name for family in families(busy).values()
                   if any("worker_id" in sample.labels for sample in family.samples)}
    assert with_worker == {"worker_jobs_processed", "worker_jobs_process_time_seconds"}


def test_openmetrics_is_served_to_who_asks_for_it(busy):
    status, headers, text = busy.http("/metrics", Accept=f"{OPENMETRICS},text/plain;q=0.5")
    assert status == 200 and headers["Content-Type"].startswith("application/openmetrics-text")
    assert text.endswith("# EOF\n")
    assert {family.name for family in parse_openmetrics(text)} >= set(WORKER_METRICS)


def test_the_worker_label_can_be_switched_off(maild):
    one = maild(metrics={"worker_label": False}).start()
    with one.submission() as client:
        one.wait_for_state(client.ask(job())["job"], "delivered")
    found = families(one)
    assert {frozenset(sample.labels) for sample in found["worker_jobs_processed"].samples} == {frozenset({"type"})}
    assert total(found["worker_jobs_processed"], type="email") == 1


def test_label_sets_start_at_zero(running):
    found = families(running)
    assert total(found["maild_jobs_accepted"]) == 0 and found["maild_jobs_accepted"].samples
    assert {sample.labels["reason"] for sample in found["maild_jobs_rejected"].samples} >= {
        "parse_error", "line_too_long", "invalid_job", "queue_full", "draining", "timeout", "quota_exceeded"}


def test_counters_only_grow_while_workers_come_and_go(running):
    before = 0
    for workers in (8, 1, 64, 2):
        running.control.call("Scale", workers=workers)
        with running.submission() as client:
            client.send(*(job() for _ in range(50))).answers(50)
        running.wait_for_counts(ready=0, running=0)
        found = families(running)
        now = total(found["worker_jobs_processed"])
        assert now == before + 50
        assert total(found["worker_workers_running"]) == workers
        before = now


def test_ready_healthy_and_the_page(running):
    assert running.http("/-/ready")[0] == 200
    assert running.http("/-/healthy")[0] == 200
    status, headers, page = running.http("/")
    assert status == 200 and headers["Content-Type"].startswith("text/html") and "maild" in page
    assert "http://" not in page.replace("http://www.w3.org/", "") and "https://" not in page, "assets from elsewhere"
    assert running.http("/nothing")[0] == 404


def test_while_maild_drains_it_is_healthy_but_not_ready(maild, judge):
    server = judge(hold=True)
    one = maild(relay=server.settings()).start()
    with one.submission() as client:
        client.ask(job())
    server.wait_for_held(1)
    one.process.terminate()
    one.notices.wait_for("STOPPING=1")
    until(lambda: one.http("/-/ready")[0] == 503, "it says that it is not ready")
    assert one.http("/-/healthy")[0] == 200
    server.release()
    assert one.process.wait(20) == 0


def test_methods_that_make_no_sense_and_broken_requests_are_refused(running):
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
    connection.request("DELETE", "/metrics")
    assert connection.getresponse().status == 405
    connection.close()
    with socket.create_connection(("127.0.0.1", running.port), timeout=20) as client:
        client.sendall(b"this is no HTTP\r\n\r\n")
        answer = client.recv(100)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 400")
    assert running.http("/-/ready")[0] == 200


def test_the_metrics_socket_can_be_left_out(maild):
    one = maild(sockets={"metrics": ""}).start()
    with one.submission() as client:
        assert "job" in client.ask(job())
    with pytest.raises(OSError):
        one.http("/metrics")

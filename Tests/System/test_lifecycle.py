# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""maild as a service: started, watched, reloaded, drained, and what it says of that by sd_notify."""

import json
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from stopped_thread import stopped, threads
from submission import job
from waiting import free_port, until


def submit(maild, *jobs):
    with maild.submission() as client:
        return [answer["job"] for answer in client.send(*jobs).answers(len(jobs))]


@pytest.mark.parametrize("how", ["by hand", "activated", "inherited"])
def test_ready_is_said_when_all_three_sockets_serve(maild, how):
    one = maild().start(how)
    with one.submission() as client:
        assert "job" in client.ask(job())
    assert one.status()["pid"] == one.pid
    assert one.http("/-/ready")[0] == 200
    assert one.stop() == 0


def test_a_socket_that_systemd_does_not_hold_is_opened_from_the_configuration(maild):
    one = maild().start("activated", names=("submit",))
    submit(one, job())
    assert one.status()["pid"] == one.pid and one.http("/-/ready")[0] == 200


def test_whoever_connects_while_maild_is_down_is_answered_by_the_next_start(maild):
    one = maild().start("inherited")
    submit(one, job())
    assert one.stop() == 0
    with one.submission() as client:
        client.send(job(ref="patient"))
        one.start("inherited")
        assert client.answer()["ref"] == "patient"


def test_sockets_that_a_killed_maild_left_behind_are_taken_over(maild):
    one = maild().start()
    one.kill()
    assert one.submit_path.exists()
    one.start()
    assert submit(one, job())


def test_a_second_maild_on_the_same_spool_is_refused_and_the_first_goes_on(maild):
    one, other = maild().start(), maild()
    other.configure(sockets={"submit": one.submit_path}, spool={"path": one.directory / "spool.db"})
    other.spawn()
    assert other.process.wait(20) not in (0, None)
    assert str(one.directory) in other.log()
    assert submit(one, job()) and one.status()["pid"] == one.pid


def test_the_status_text_has_live_numbers(maild, judge):
    server = judge(hold=True)
    one = maild(workers=2, relay=server.settings()).start()
    submit(one, *(job() for _ in range(5)), job(delay=3600))
    one.notices.wait_for("STATUS=2 workers, 2 running, 3 ready")
    one.control.call("Scale", workers=4)
    one.notices.wait_for("STATUS=4 workers, 4 running, 1 ready")
    server.release()
    one.notices.wait_for("STATUS=4 workers, 0 running, 0 ready")
    one.control.call("Pause")
    submit(one, job())
    assert "paused" in one.notices.wait_for("1 ready", "STATUS=")


def pings_during(maild, seconds):
    """How often it says WATCHDOG=1 in the next `seconds`: a matter of time by nature."""
    before = len(maild.notices.said("WATCHDOG=1"))
    time.sleep(seconds)  # What must not happen can only be waited for.
    return len(maild.notices.said("WATCHDOG=1")) - before


def test_the_watchdog_is_fed_in_time_and_by_nobody_where_it_is_not_wanted(maild):
    one, other = maild(), maild().start()
    one.start("inherited", environment={"WATCHDOG_USEC": "600000"})
    assert 4 <= pings_during(one, 3.0) <= 20
    assert other.notices.said("WATCHDOG=1") == []


def test_the_watchdog_starves_when_a_thread_that_matters_stands_still(maild):
    one = maild().start("inherited", environment={"WATCHDOG_USEC": "600000"})
    submit(one, job())
    silencing = set()
    for number, name in threads(one.pid):
        with stopped(number):
            pings_during(one, 0.4)  # One ping may have been on its way.
            if pings_during(one, 0.9) == 0:
                silencing.add(name)
        one.notices.forget()
        one.notices.wait_for("WATCHDOG=1")
    # The loop of the sockets, the loop of the deliveries and the spool's writer.
    assert len(silencing) >= 2 and any("spool" in name for name in silencing), (silencing, threads(one.pid))


@pytest.mark.parametrize("how, end", [("by hand", signal.SIGTERM), ("activated", signal.SIGTERM),
                                      ("by hand", signal.SIGINT)])
def test_a_stop_drains_running_jobs_and_keeps_the_others(maild, judge, how, end):
    server = judge(hold=True)
    one = maild(workers=2, drain_seconds_max=20, relay=server.settings()).start(how)
    names = submit(one, *(job() for _ in range(6)))
    server.wait_for_held(2)
    one.process.send_signal(end)
    one.notices.wait_for("STOPPING=1")
    assert one.is_alive()
    server.release()
    assert one.process.wait(20) == 0
    # The two that ran, and at most as many that were claimed while the signal was on its way to the dispatcher.
    assert 2 <= len(server.messages) <= 4
    assert all(session.ended_by == "QUIT" for session in server.sessions)
    one.start()
    server.wait_for_messages(6)
    assert [one.wait_for_state(name, "delivered")["job"]["attempts"] for name in names] == [1] * 6
    assert len({message.message_id for message in server.messages}) == len(server.messages) == 6


def test_a_drain_has_an_end_and_what_still_ran_goes_back_to_the_spool(maild, judge):
    server = judge(hold=True)
    one = maild(workers=2, drain_seconds_max=0.5, relay=server.settings()).start()
    names = submit(one, *(job() for _ in range(3)))
    server.wait_for_held(2)
    began = time.monotonic()
    assert one.stop() == 0
    assert time.monotonic() - began < 10
    server.hold = False
    one.start()
    for name in names:
        one.wait_for_state(name, "delivered")


def test_all_answers_of_lines_read_before_the_stop_arrive(maild):
    one = maild().start()
    with one.submission() as client:
        client.send(*(job(ref=str(n)) for n in range(2000)))
        assert client.answer()["ref"] == "0"
        one.process.terminate()
        answers = []
        while (answer := client.answer()) is not None:
            answers.append(answer)
            if len(answers) == 1999:
                break
    assert [answer["ref"] for answer in answers] == [str(n) for n in range(1, 2000)]
    assert all("job" in answer or answer["error"] == "draining" for answer in answers)
    assert one.process.wait(20) == 0
    one.start()
    for answer in answers:
        if "job" in answer:
            one.wait_for_state(answer["job"], "delivered")


def test_sighup_reloads_and_says_so(maild):
    one = maild(workers=2).start()
    one.configure(workers=5)
    one.process.send_signal(signal.SIGHUP)
    said = one.notices.wait_for("RELOADING=1")
    told = int(re.search(r"MONOTONIC_USEC=(\d+)", said)[1])
    assert abs(told - time.clock_gettime(time.CLOCK_MONOTONIC) * 1e6) < 20e6
    one.notices.wait_for("READY=1")
    assert one.status()["workers"] == 5


def test_reload_tells_what_changed_and_what_waits_for_a_restart(maild):
    one = maild(workers=2).start()
    one.configure(workers=5, log_level="debug", spool={"path": one.directory / "other.db"})
    finished = one.mailctl("reload", "--json")
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout) == {"changed": ["workers", "log_level"], "restart_needed": ["spool.path"]}
    one.notices.wait_for("RELOADING=1", "MONOTONIC_USEC=")
    one.notices.wait_for("READY=1")
    assert one.status()["workers"] == 5


def test_a_relay_can_be_configured_by_a_reload_while_jobs_wait(maild, judge):
    server = judge()
    away = {"judge": {"host": "127.0.0.1", "port": free_port()}}
    one = maild(retry={"first_seconds": 0.2, "wait_seconds_max": 0.4}, relay=away).start()
    names = submit(one, *(job() for _ in range(5)))
    one.wait_for_counts(ready=0, running=0, scheduled=5)
    assert one.show(names[0])["job"]["attempts"] == 0
    one.configure(retry={"first_seconds": 0.2, "wait_seconds_max": 0.4}, relay=server.settings())
    assert one.mailctl("reload").returncode == 0
    server.wait_for_messages(5)


def test_a_bad_file_at_a_reload_keeps_the_old_configuration(maild):
    one = maild(workers=2).start()
    one.configuration_path.write_text("workers = 3\nlog_level = 'loud'\n")
    finished = one.mailctl("reload")
    assert finished.returncode == 78
    assert f"{one.configuration_path}:2: log_level: must be one of" in finished.stderr
    one.notices.wait_for("RELOADING=1")
    one.notices.wait_for("READY=1")
    one.process.send_signal(signal.SIGHUP)
    one.notices.wait_for("RELOADING=1")
    one.notices.wait_for("READY=1")
    assert f"{one.configuration_path}:2: log_level: must be one of" in one.log()
    assert one.status()["workers"] == one.status()["workers_configured"] == 2
    assert submit(one, job())


BAD_FILES = {
    "a wrong type": ("\nworkers = 'many'\n", ":2: workers: must be an integer"),
    "an impossible value": ("[spool]\njobs_max = 0\n", ":2: spool.jobs_max: must be from 1"),
    "an unknown key": ("wokers = 2\n", ":1: wokers: is unknown; did you mean workers?"),
    "a syntax error": ("workers = 2\n[spool\n", ":2: "),
}


@pytest.mark.parametrize("text, complaint", BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_bad_file_at_the_start_is_exit_status_78_with_file_line_and_key(maild, text, complaint):
    one = maild()
    one.configuration_path.write_text(text)
    one.spawn()
    assert one.process.wait(20) == 78
    assert f"{one.configuration_path}{complaint}" in one.log()
    assert one.notices.said("READY=1") == [] and not one.submit_path.exists()
    checked = subprocess.run(
        [one.command[0], "--check-config", one.configuration_path], capture_output=True, text=True, timeout=20)
    assert checked.returncode == 78 and f"{one.configuration_path}{complaint}" in checked.stderr


def test_a_good_file_passes_the_check_and_starts_nothing(maild):
    one = maild()
    checked = subprocess.run(
        [one.command[0], "--check-config", one.configuration_path], capture_output=True, text=True, timeout=20)
    assert checked.returncode == 0 and checked.stderr == ""
    missing = subprocess.run(
        [one.command[0], "--check-config", "/nonexistent.toml"], capture_output=True, text=True, timeout=20)
    assert missing.returncode == 78 and "/nonexistent.toml" in missing.stderr


def switches(process):
    """How often the threads of a process went to sleep of their own will so far."""
    return sum(int(re.search(r"\nvoluntary_ctxt_switches:\s+(\d+)", (task / "status").read_text())[1])
               for task in Path(f"/proc/{process}/task").iterdir())


def test_an_idle_maild_wakes_less_than_once_a_second_and_is_small(maild):
    one = maild().start()
    submit(one, *(job() for _ in range(1000)))
    one.wait_for_counts(ready=0, running=0)
    one.mailctl("status"), one.http("/metrics")
    assert one.memory() < 40_000
    time.sleep(1)  # The last timers of the work before.
    before = switches(one.pid)
    time.sleep(10)  # Measures time by nature.
    assert switches(one.pid) - before < 10


def test_the_maild_that_was_never_used_is_smaller_still(running):
    assert running.memory() < 40_000

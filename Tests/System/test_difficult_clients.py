# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""What maild does with a difficult client: nobody else notices (docs/protocol.md)."""

import resource
import select
import socket
import time
from pathlib import Path

import pytest
from submission import job, line
from waiting import PATIENCE, until

PROMPTLY = 5.0
"""Seconds within which another client must have its answer on a loaded machine."""


@pytest.fixture(autouse=True)
def many_descriptors():
    """The test holds as many connections as maild does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def assert_served(maild):
    """Somebody else gets an answer, promptly."""
    began = time.monotonic()
    with maild.submission() as client:
        assert "job" in client.ask(job())
    assert time.monotonic() - began < PROMPTLY


def test_a_client_that_never_reads_is_read_no_further_and_loses_nothing(running):
    text = line(job())
    with running.submission() as client:
        client.socket.setblocking(False)
        written = 0
        # It is read no further when its socket has stayed full for a second in a row.
        while select.select([], [client.socket], [], 1.0)[1]:
            written += client.socket.send((text * 500)[written % len(text):])
            assert written < 64 << 20, "64 MB were read of a client that reads no answer"
        assert_served(running)
        assert running.memory() < 150_000
        client.socket.settimeout(PATIENCE)
        lines, part = divmod(written, len(text))
        answers = client.answers(lines)
        if part:
            answers.append(client.send(text[part:]).answer())
            lines += 1
        assert client.finish() == []
    assert len(answers) == lines and all("job" in answer for answer in answers)
    assert_served(running)


def test_clients_that_stop_in_the_middle_of_a_line_hold_up_nobody(running):
    stopped = [running.submission().send(line(job())[:-30]) for _ in range(50)]
    assert_served(running)
    for client in stopped:
        assert "job" in client.send(line(job())[-30:]).answer()
        client.close()


def test_a_thousand_connections_are_all_served_and_so_is_one_more(running):
    clients = [running.submission() for _ in range(1000)]
    assert_served(running)
    for number, client in enumerate(clients):
        client.send(job(ref=str(number)))
    assert [client.answer()["ref"] for client in clients] == [str(number) for number in range(1000)]
    assert running.status()["state"]
    for client in clients:
        client.close()
    assert_served(running)


def test_connections_that_come_and_go_leave_nothing_behind(running):
    descriptors = Path(f"/proc/{running.pid}/fd")
    before = len(list(descriptors.iterdir()))
    for _ in range(300):
        with running.submission() as client:
            client.send(b"{")
    assert_served(running)
    until(lambda: len(list(descriptors.iterdir())) <= before, "the descriptors are closed")


def test_large_lines_share_a_bound_and_wait_their_turn(maild):
    one = maild(limits={"line_bytes_max": 400_000, "reading_bytes_max": 1_000_000}).start()
    large = line(job(content="x" * 390_000))
    assert 390_000 < len(large) < 400_000
    clients = [one.submission() for _ in range(6)]
    for client in clients:
        client.socket.setblocking(False)
    sent = [0] * len(clients)

    def push(number, up_to):
        try:
            while sent[number] < up_to:
                sent[number] += clients[number].socket.send(large[sent[number]:up_to])
        except BlockingIOError:
            pass
        return sent[number] >= up_to

    # All stop one byte before their end: only two of them have room meanwhile.
    until(lambda: sum(push(number, len(large) - 1) for number in range(6)) >= 2, "two large lines are read")
    assert_served(one)
    until(lambda: all([push(number, len(large)) for number in range(6)]), "all large lines are read in turn")
    for client in clients:
        client.socket.settimeout(PATIENCE)
        assert "job" in client.answer()
        client.close()


def test_garbage_of_many_megabytes_without_a_newline_costs_no_memory(maild):
    one = maild(limits={"line_bytes_max": 1 << 20}).start()
    with one.submission() as client:
        for _ in range(64):
            client.socket.sendall(b"x" * (1 << 20))
        assert one.memory() < 100_000
        assert client.send(b"\n").answer()["error"] == "line_too_long"
        assert "job" in client.ask(job())


def test_a_pipelining_client_with_large_jobs_is_held_back_but_answered(maild):
    one = maild(limits={"unanswered_lines_max": 4}).start()
    with one.submission() as client:
        client.socket.settimeout(60)
        assert len(client.send(*(job(content="x" * 20_000) for _ in range(200))).finish()) == 200


def test_closing_the_reading_side_is_survived(running):
    with running.submission() as client:
        client.socket.shutdown(socket.SHUT_RD)
        try:
            client.send(*(job() for _ in range(500)))
        except BrokenPipeError:
            pass
    assert_served(running)

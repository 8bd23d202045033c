# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Attachments of 25 MiB, many at once: memory is bounded, nobody else waits, and they arrive whole."""

import base64
import fcntl
import hashlib
import os
import socket
import threading
from email import message_from_bytes, policy

import pytest
from quick_sink import QuickSink
from submission import job, line
from waiting import until

ATTACHMENT = 25 << 20
BUDGET = 256 << 20
"""limits.reading_bytes_max where the configuration does not say."""
MANY = 50
LONG = 240.0
"""Seconds: nearly two gigabytes go through three processes and to disk, on a machine that does other things too."""
AHEAD = 20
"""Large ones that a small job may have to wait for: what the budget has let in (6), what is being written, and what was
written when it came. Not a time, for on a slow disk each of them takes a second."""


def send_all(maild, text, count, descriptors=()):
    """Sends `text` over `count` connections at once; returns the answers."""
    answers = []

    def send():
        with maild.submission() as client:
            client.socket.settimeout(LONG)
            # A socket with a timeout does not block, and takes a part.
            sent = socket.send_fds(client.socket, [text], descriptors) if descriptors else 0
            client.socket.sendall(text[sent:])
            answers.append(client.answer())

    threads = [threading.Thread(target=send) for _ in range(count)]
    for thread in threads:
        thread.start()
    return answers, threads


def large_line(seed=b""):
    data = hashlib.shake_256(seed).digest(1 << 16) * (ATTACHMENT >> 16)
    return memoryview(line(job(attachments=[{"name": "a.bin", "data": base64.b64encode(data).decode()}])))


@pytest.fixture
def shape(request):
    """What is sent, and with which descriptors: the attachment in the line, or in a sealed memfd."""
    if request.param == "base64":
        yield large_line(), ()
        return
    file = os.memfd_create("attachment", os.MFD_ALLOW_SEALING)
    with open(file, "wb") as memory:
        for _ in range(ATTACHMENT >> 20):
            memory.write(os.urandom(1 << 16) * 16)
        memory.flush()
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE)
        yield line(job(attachments=[{"name": "a.bin", "fd": 0}])), (file,)


@pytest.mark.parametrize("shape", ["base64", "descriptor"], indirect=True)
@pytest.mark.parametrize("way", ["smtp", "maildir", "paused"])
def test_fifty_at_once_stay_under_twice_the_budget_and_a_small_job_goes_meanwhile(maild, way, shape):
    with QuickSink() as sink:
        one = maild(**({"relay": sink.settings()} if way == "smtp" else {})).start()
        if way == "paused":
            one.control.call("Pause")
        answers, threads = send_all(one, shape[0], MANY, shape[1])
        until(lambda: len(answers) > 2, "the first are answered", LONG)
        before = len(answers)
        with one.submission() as client:
            assert "job" in client.ask(job())
        assert len(answers) - before <= AHEAD, f"{before} were answered when it was sent, {len(answers)} before it"
        for thread in threads:
            thread.join()
        assert len(answers) == MANY and all("job" in answer for answer in answers)
        if way == "paused":
            assert one.counts()["ready"] == MANY + 1
        else:
            one.wait_for_counts(ready=0, running=0, seconds=LONG)
        if way == "smtp":
            assert len(sink.lengths) == MANY + 1 and sum(length > ATTACHMENT for length in sink.lengths) == MANY
        print(f"{way}: at most {one.memory('VmHWM') >> 10} MiB")
        assert one.memory("VmHWM") * 1024 < 2 * BUDGET, f"{one.memory('VmHWM')} kB"


def test_large_messages_that_waited_through_a_restart_arrive_whole(maild):
    one = maild(workers=4).start()
    one.control.call("Pause")
    seeds = [bytes([number]) for number in range(4)]
    for seed in seeds:
        answers, threads = send_all(one, large_line(seed), 1)
        threads[0].join()
        assert "job" in answers[0]
    with one.submission() as client:
        client.socket.settimeout(LONG)
        client.socket.sendall(bytes(large_line(b"later")[:-2]) + b',"delay":0.01}\n')
        assert "job" in client.answer()
    one.restart()
    one.control.call("Resume")
    one.wait_for_counts(ready=0, running=0, scheduled=0, seconds=LONG)
    digests = set()
    for folder, _, names in os.walk(one.directory / "maildir"):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                message = message_from_bytes(file.read(), policy=policy.default)
            [attachment] = message.iter_attachments()
            digests.add(hashlib.sha256(attachment.get_content()).digest())
    assert digests == {
        hashlib.sha256(hashlib.shake_256(seed).digest(1 << 16) * (ATTACHMENT >> 16)).digest()
        for seed in [*seeds, b"later"]}


def test_a_users_large_messages_on_their_way_to_a_slow_relay_hold_up_no_small_ones(maild, judge):
    server = judge(hold=True)
    one = maild(workers=8, relay=server.settings(connections_max=8)).start()
    large = line(job(subject="large", content="x" * (30 << 20)))
    with one.submission() as client:
        client.socket.settimeout(LONG)
        for _ in range(4):
            assert "job" in client.ask(large)
    server.wait_for_held(1)
    with one.submission() as client:
        assert "job" in client.ask(job(subject="small", priority=5))
    until(lambda: any(b"Subject: small" in message.data for _, message in list(server.held)), "the small one is out")
    assert one.counts()["running"] < 5, "no more large ones are begun than may be in memory"
    server.release()
    server.wait_for_messages(5, seconds=LONG)

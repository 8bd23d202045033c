# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Attachments that come as descriptors: whole, whatever the file does meanwhile, and none stays open."""

import base64
import fcntl
import json
import os
import re
import socket
import subprocess
import threading
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from maild import MAILCTL, ROOT
from submission import Submission, job, line
from waiting import PATIENCE, until

CONTENT = bytes(range(256)) * 1200


def memfd(content, sealed=True):
    number = os.memfd_create("attachment", os.MFD_ALLOW_SEALING)
    os.write(number, content)
    if sealed:
        fcntl.fcntl(number, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE)
    return number


def attaching(*numbers, **fields):
    return job(attachments=[{"name": f"{place}.bin", "fd": number} for place, number in enumerate(numbers)], **fields)


def send(client, request, numbers):
    """In one message with the descriptors, as far as the socket takes it."""
    data = line(request)
    sent = socket.send_fds(client.socket, [data], numbers)
    client.socket.sendall(data[sent:])
    return client


def attachments(one):
    """The contents of all attachments of all delivered mails."""
    one.wait_for_counts(ready=0, running=0, scheduled=0)
    found = []
    for folder, _, names in os.walk(one.directory / "maildir"):
        for name in names:
            message = message_from_bytes(Path(folder, name).read_bytes(), policy=policy.default)
            found.append([part.get_content() for part in message.iter_attachments()])
    return found


def open_files(one):
    return len(os.listdir(f"/proc/{one.pid}/fd"))


@pytest.mark.parametrize("kind", ["sealed memfd", "memfd", "file", "deleted file"])
def test_an_attachment_arrives_whole(maild, tmp_path, kind):
    one = maild().start()
    path = tmp_path / "a.bin"
    path.write_bytes(CONTENT)
    number = memfd(CONTENT, kind == "sealed memfd") if "memfd" in kind else os.open(path, os.O_RDONLY)
    if kind == "deleted file":
        path.unlink()
    with one.submission() as client:
        assert "job" in send(client, attaching(0, 0), [number]).answer()
        os.close(number)
    assert attachments(one) == [[CONTENT, CONTENT]]


def test_the_answer_comes_after_the_copy_what_happens_to_the_file_then_does_not_matter(maild, tmp_path):
    one = maild().start()
    one.control.call("Pause")
    path = tmp_path / "a.bin"
    path.write_bytes(CONTENT)
    with one.submission() as client, open(path, "r+b") as file:
        assert "job" in send(client, attaching(0), [file.fileno()]).answer()
        file.truncate(0)
    one.restart()
    one.control.call("Resume")
    assert attachments(one) == [[CONTENT]]


def test_the_example_of_the_protocols_page(maild, tmp_path, monkeypatch):
    one = maild().start()
    [example] = re.findall(r"```python\n(.*?)```", (ROOT / "docs/protocol.md").read_text(), re.S)
    assert "send_fds" in example
    (tmp_path / "report.pdf").write_bytes(CONTENT)
    monkeypatch.chdir(tmp_path)
    program = example.replace("/run/maild/submit.sock", str(one.submit_path))
    ran = subprocess.run(["python3", "-c", program], capture_output=True, text=True, timeout=PATIENCE)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["state"] == "ready"
    assert attachments(one) == [[CONTENT]]


def bad_submissions(number):
    """Each with what is sent, and the descriptors beside it."""
    yield attaching(1), [number]
    yield attaching("0"), [number]
    yield attaching(0, to="nobody"), [number]
    yield attaching(0, type="none"), [number]
    yield attaching(0, colour="red"), [number, number]
    yield b"nonsense\n", [number] * 3
    yield b'{"to":"a@example.com","attachments":[{"fd":0}],"from":5}\n', [number]
    yield job(to=5), [number]


def test_a_thousand_bad_submissions_leave_no_descriptor_open(maild):
    one = maild().start()
    read, write = os.pipe()
    number = memfd(CONTENT)
    left, right = socket.socketpair()
    directory = os.open("/", os.O_RDONLY)
    with one.submission() as client:
        assert "job" in send(client, attaching(0), [number]).answer()
        before = open_files(one)
        sent = 0
        while sent < 1000:
            for bad in (read, write, left.fileno(), directory):
                answer = send(client, attaching(0), [bad]).answer()
                assert answer["error"] == "invalid_job" and answer["field"] == "attachments[0].fd", answer
                sent += 1
            for request, numbers in bad_submissions(number):
                assert "error" in send(client, request, numbers).answer()
                sent += 1
        # Descriptors with what is no line, with blank lines and beside lines that do not name them.
        send(client, b" \n\n", [number] * 100)
        assert "job" in send(client, job(), [number] * 100).answer()
        for _ in range(20):
            with one.submission() as other:
                socket.send_fds(other.socket, [b'{"to":'], [number] * 5)
        until(lambda: open_files(one) <= before, f"{open_files(one)} are open, {before} before")
        assert "job" in send(client, attaching(0), [number]).answer()
    for each in (read, write, number, directory):
        os.close(each)
    left.close()
    right.close()


def test_a_file_that_shrinks_and_grows_while_it_is_read_does_no_harm(maild, tmp_path):
    one = maild().start()
    one.control.call("Pause")
    path = tmp_path / "a.bin"
    path.write_bytes(b"x" * (4 << 20))
    ends = threading.Event()

    def change():
        with open(path, "r+b") as file:
            while not ends.is_set():
                file.truncate(1000)
                file.truncate(4 << 20)

    changing = threading.Thread(target=change)
    changing.start()
    before = open_files(one)
    try:
        with one.submission() as client, open(path, "rb") as file:
            answers = [send(client, attaching(0), [file.fileno()]).answer() for _ in range(100)]
    finally:
        ends.set()
        changing.join()
    for answer in answers:
        assert "job" in answer or answer["field"] == "attachments[0].fd" and "shorter" in answer["message"], answer
    until(lambda: open_files(one) <= before, "all are closed")
    assert one.counts()["ready"] == sum("job" in answer for answer in answers)


def test_mailctl_passes_large_files_and_sends_small_ones_and_pipes_as_they_are(maild, tmp_path):
    one = maild().start()
    (tmp_path / "small.txt").write_bytes(b"small")
    (tmp_path / "large.bin").write_bytes(CONTENT)
    ran = one.mailctl(
        "submit", "--to", "a@example.com", "--from", "app@example.org", "--text", "t", "--attach",
        str(tmp_path / "small.txt"), "--attach", str(tmp_path / "large.bin"), "--attach", "/dev/stdin",
        "--attach", str(tmp_path / "large.bin"), input="piped " * 20000)
    assert ran.returncode == 0, ran.stderr
    small, *rest = attachments(one)[0]
    assert (small.encode() if isinstance(small, str) else small).rstrip() == b"small"
    assert rest == [CONTENT, b"piped " * 20000, CONTENT]


def take(listener, answer):
    """One connection: the line and the contents of the descriptors that came with it."""
    with listener.accept()[0] as connection:
        data, numbers, _, _ = socket.recv_fds(connection, 1 << 20, 20)
        while not data.endswith(b"\n"):
            data += connection.recv(1 << 16)
        files = [os.pread(number, 1 << 20, 0) for number in numbers]
        for number in numbers:
            os.close(number)
        if answer:
            connection.sendall(answer)
            connection.recv(1)
    return json.loads(data), files


def test_mailctl_passes_them_again_over_a_new_connection(tmp_path):
    (tmp_path / "large.bin").write_bytes(CONTENT)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        listener.settimeout(PATIENCE)
        with subprocess.Popen(
                [MAILCTL, "submit", "--to", "a@example.com", "--from", "b@example.com", "--text", "t", "--attach",
                 str(tmp_path / "large.bin")],
                env=os.environ | {"MAILD_SUBMIT_SOCKET": str(tmp_path / "s")}, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE) as client:
            first = take(listener, None)
            second = take(listener, b'{"job":"0G2Q5X7J1C0A4","state":"ready"}\n')
            assert client.communicate(timeout=PATIENCE)[0] == b"0G2Q5X7J1C0A4 ready\n"
    assert first == second
    request, files = first
    assert files == [CONTENT]
    assert [each["fd"] for each in request["attachments"]] == [0]


def test_base64_and_descriptor_are_the_same_submission(maild):
    one = maild().start()
    number = memfd(CONTENT)
    request = {"idempotency_key": "k"} | job()
    with one.submission() as client:
        first = client.ask(request | {"attachments": [{"name": "a", "data": base64.b64encode(CONTENT).decode()}]})
        again = send(client, request | {"attachments": [{"name": "a", "fd": 0}]}, [number]).answer()
        other = send(client, request | {"attachments": [{"name": "b", "fd": 0}]}, [number]).answer()
    assert (again["job"], again["duplicate"]) == (first["job"], True)
    assert other["error"] == "conflict"
    os.close(number)


def test_a_client_that_never_ends_its_lines_is_bounded_in_what_it_keeps_open(maild):
    one = maild().start()
    number = memfd(CONTENT)
    before = open_files(one)
    clients = [Submission(one.submit_path) for _ in range(8)]
    for client in clients:
        for _ in range(2):
            socket.send_fds(client.socket, [b" {"], [number] * 100)
    with one.submission() as client:
        # Answered after what was there before it was read.
        client.ask(job())
        answer = send(client, attaching(0), [number]).answer()
        assert answer["error"] == "quota_exceeded" and answer["retryable"], answer
        assert open_files(one) <= before + 512 + 40
        for each in clients:
            each.close()
        until(lambda: "job" in send(client, attaching(0), [number]).answer(), "there is room again")
    os.close(number)

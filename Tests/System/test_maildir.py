# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Where mail goes while no relay is configured: a Maildir, one file a recipient."""

import mailbox
from email import message_from_bytes, policy

from submission import job


def test_each_recipient_gets_a_whole_message_of_its_own(running):
    with running.submission() as client:
        name = client.ask(job(
            to=["a@example.com", "b@example.com"], bcc="c@example.com", subject="Grüße", content="one\n.two"))["job"]
    shown = running.wait_for_state(name, "delivered")
    assert [fate["verdict"] for fate in shown["history"][0]["fates"]] == ["delivered"] * 3
    box = running.directory / "maildir"
    files = list((box / "new").iterdir())
    assert len(files) == 3 and len(mailbox.Maildir(box, create=False)) == 3
    assert list((box / "tmp").iterdir()) == []
    for file in files:
        message = message_from_bytes(file.read_bytes(), policy=policy.default)
        assert message.defects == [] and message["Subject"] == "Grüße"
        assert message.get_content().splitlines() == ["one", ".two"]
        assert message["Bcc"] is None


def test_a_maildir_that_cannot_be_written_defers_and_loses_nothing(maild):
    one = maild(retry={"first_seconds": 0.2, "wait_seconds_max": 0.4})
    blocked = one.directory / "maildir"
    one.start()
    moved = one.directory / "aside"
    if blocked.exists():
        blocked.rename(moved)
    blocked.write_text("a file where a directory should be")
    with one.submission() as client:
        name = client.ask(job())["job"]
    one.wait_for_state(name, "scheduled")
    blocked.unlink()
    if moved.exists():
        moved.rename(blocked)
    one.wait_for_state(name, "delivered")
    assert len(list((blocked / "new").iterdir())) == 1

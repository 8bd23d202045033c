# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""What tests of webhooks say again and again."""

QUICK = {"first_seconds": 0.05, "wait_seconds_max": 0.2}


def hook(url, body=None, **fields):
    return {"type": "webhook", "url": url, "body": {"text": "hi"} if body is None else body} | fields


def ask(one, *lines):
    with one.submission() as client:
        answers = [client.ask(each) for each in lines]
    assert all("job" in answer for answer in answers), answers
    return [answer["job"] for answer in answers]


def attempts(one, name):
    return one.show(name)["history"]


def reply(attempt):
    [fate] = attempt["fates"]
    return fate["verdict"], fate["code"], fate["text"]


def private(path, text):
    path.write_text(text)
    path.chmod(0o600)
    return path

# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""A judge that is not ours: Python's email package reads what MailMessage composed.

usage: judge.py DIRECTORY
DIRECTORY holds pairs NAME.eml and NAME.expect. An .expect file has a line for each thing that must be found in the
message: a word and hexadecimal UTF-8 values. Prints each offence as NAME: text; exit 1 where there is any.
"""

import email
import email.policy
import re
import sys
from email.errors import NonASCIILocalPartDefect
from email.header import decode_header, make_header
from email.utils import getaddresses
from pathlib import Path

LINE_OCTETS_MAX = 998
LINE_OCTETS_WANTED = 78
ENCODED_LINE_MAX = 76


def lines_of(data, say):
    """RFC 5322 §2.1 and §2.1.1, §2.3: CRLF alone ends a line, and no line is over 998 octets."""
    if not data.endswith(b"\r\n"):
        say("does not end in CRLF")
    rest = data.replace(b"\r\n", b"")
    if b"\r" in rest or b"\n" in rest:
        say("has a CR or LF that stands alone")
    lines = data.split(b"\r\n")
    for line in lines:
        if len(line) > LINE_OCTETS_MAX:
            say(f"has a line of {len(line)} octets")
    return lines


def judge_header(lines, smtputf8, say):
    header = lines[: lines.index(b"")]
    for line in header:
        if not line.strip():
            say("has a header line of blanks alone (RFC 5322 §3.2.2)")
        if not smtputf8 and not line.isascii():
            say(f"has 8-bit octets in its header: {line!r}")
        # A line over 78 is right only where it has one word, be it after a field's name: some readers (this one too)
        # take a fold right after the colon for a blank of the text.
        words = (line if line[:1] in b" \t" else line.split(b":", 1)[-1]).split()
        if len(line) > LINE_OCTETS_WANTED and len(words) > 1:
            say(f"has a header line of {len(line)} octets that could be folded: {line!r}")
        for word in re.findall(rb"=\?utf-8\?[qb]\?[^? ]*\?=", line):
            if len(word) > 75:
                say(f"has an encoded word of {len(word)} characters")
            if len(line) > ENCODED_LINE_MAX and len(words) == 1:
                say(f"has a line of {len(line)} characters with an encoded word")
    names = [line.split(b":")[0].lower() for line in header if line[:1] not in b" \t"]
    for name in [b"from", b"date", b"message-id"]:
        if names.count(name) != 1:
            say(f"has {names.count(name)} fields {name.decode()}")
    if b"bcc" in names:
        say("has a Bcc")


def judge_encoding(part, say):
    encoding = str(part.get("Content-Transfer-Encoding", "7bit"))
    payload = part.get_payload()
    if not isinstance(payload, str):
        return
    if not payload.isascii() and encoding != "8bit":
        say(f"has 8-bit octets under {encoding}")
    width = max((len(line) for line in payload.splitlines()), default=0)
    if encoding in ("base64", "quoted-printable") and width > ENCODED_LINE_MAX:
        say(f"has a line of {width} characters in {encoding}")


def judge_defects(message, say):
    for part in message.walk():
        if part.defects:
            say(f"{part.get_content_type()} has defects: {part.defects}")
        for name, value in part.items():
            if [one for one in value.defects if not isinstance(one, NonASCIILocalPartDefect)]:
                say(f"{name} has defects: {value.defects}: {value!r}")
        if not part.is_multipart():
            judge_encoding(part, say)


def addresses(message, data, name):
    """Names are decoded by the older half of the package: the newer one, before Python 3.13, keeps the blanks between
    encoded words in a phrase, against RFC 2047 §6.2."""
    if message[name] is None:
        return []
    field = re.search(rb"^" + name.encode() + rb": ?([^\r]*(?:\r\n[ \t][^\r]*)*)", data, re.MULTILINE)
    value = field.group(1).decode().replace("\r\n", "")
    names = [str(make_header(decode_header(one))) for one, address in getaddresses([value]) if address]
    found = message[name].addresses
    if len(names) != len(found):
        return [f"{len(names)} names for {len(found)} addresses"]
    return [f"{shown}\n{one.username}\n{one.domain}" for shown, one in zip(names, found)]


def text_of(message, kind):
    part = message.get_body(preferencelist=(kind,))
    return None if part is None else part.get_payload(decode=True).decode(part.get_content_charset("us-ascii"))


def files_of(message):
    found = []
    for part in message.walk():
        if part.get_content_disposition() is None:
            continue
        if part.get_content_type() == "message/rfc822":
            data = part.get_payload(0).as_bytes(policy=email.policy.SMTP)
        else:
            data = part.get_payload(decode=True)
        cid = str(part.get("Content-ID", "")).strip("<>")
        # get_filename() would trim the name.
        name = part["Content-Disposition"].params.get("filename", "")
        found.append([name.encode(), part.get_content_type().encode(), cid.encode(), data])
    return found


def judge_text(kind, wanted, found, say):
    """A text without a line end at its end may have got one: a 7bit body has no other way to end its line."""
    if found is None or found.replace("\r\n", "\n") not in (wanted, wanted + "\n"):
        say(f"{kind}: wanted {wanted!r}, found {found!r}")


def judge_expectation(message, data, word, values, files, say):
    texts = [value.decode("utf-8", "surrogateescape") for value in values]
    if word in ("From", "To", "Cc", "Reply-To"):
        found = addresses(message, data, word)
        if texts != found:
            say(f"{word}: wanted {texts}, found {found}")
    elif word == "header":
        if str(message[texts[0]]) != texts[1]:
            say(f"{texts[0]}: wanted {texts[1]!r}, found {str(message[texts[0]])!r}")
    elif word in ("plain", "html"):
        judge_text(word, texts[0], text_of(message, word), say)
    elif word == "file":
        if values in files:
            files.remove(values)
        else:
            say(f"file {texts[:3]} was not found among {[file[:3] for file in files]}")
    elif word == "absent":
        if texts[0] in message:
            say(f"has a field {texts[0]}")
    elif word not in ("raw", "smtputf8"):
        say(f"the expectation {word} is unknown to the judge")


def judge(path):
    offences = []
    say = offences.append
    expectations = [line.split(" ") for line in path.with_suffix(".expect").read_text("ascii").splitlines()]
    words = {words[0] for words in expectations}
    data = path.read_bytes()
    smtputf8 = "smtputf8" in words
    lines = lines_of(data, say)
    if "raw" not in words:
        judge_header(lines, smtputf8, say)
    policy = email.policy.SMTPUTF8 if smtputf8 else email.policy.SMTP
    # From bytes the parser takes no UTF-8 in a header, whatever the policy.
    message = email.message_from_string(data.decode(), policy=policy) if smtputf8 else email.message_from_bytes(
        data, policy=policy
    )
    judge_defects(message, say)
    files = files_of(message)
    for word, *values in expectations:
        judge_expectation(message, data, word, [bytes.fromhex(value) for value in values], files, say)
    if files:
        say(f"has files that nobody gave: {[file[:3] for file in files]}")
    return [f"{path.stem}: {offence}" for offence in offences]


def main():
    paths = sorted(Path(sys.argv[1]).glob("*.eml"))
    offences = [offence for path in paths for offence in judge(path)]
    for offence in offences:
        print(offence[:1000])
    print(f"{len(paths)} messages judged, {len(offences)} offences")
    return 1 if offences or not paths else 0


if __name__ == "__main__":
    sys.exit(main())

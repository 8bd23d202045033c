# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Python's email package reads bounce messages as RFC 3464 and RFC 6522 have them.

usage: report_judge.py DIRECTORY
Judges each NAME.eml in DIRECTORY. Prints each offence as NAME: text; exit 1 where there is any. `judge` serves the
system tests too.
"""

import email
import email.policy
import re
import sys
from pathlib import Path

ADDRESS_TYPES = ("rfc822", "utf-8")


def defects_of(message):
    for part in message.walk():
        yield from part.defects
        for value in part.values():
            yield from getattr(value, "defects", ())


def judge(data):
    """(offences, fields of the message, fields of each recipient, the parts)."""
    offences = []
    if re.search(rb"(?<!\r)\n|\r(?!\n)", data):
        offences.append("a CR or LF that stands alone")
    if max(len(line) for line in data.split(b"\r\n")) > 998:
        offences.append("a line of over 998 octets")
    if not data.isascii():
        offences.append("octets over 127")
    message = email.message_from_bytes(data, policy=email.policy.SMTP.clone(raise_on_defect=False))
    offences += [f"defect {defect!r}" for defect in defects_of(message)]
    if message.get_content_type() != "multipart/report":
        offences.append(f"is a {message.get_content_type()}")
    if message["Content-Type"].params.get("report-type") != "delivery-status":
        offences.append("has no report-type=delivery-status")
    if message["Auto-Submitted"] != "auto-replied":
        offences.append(f"has Auto-Submitted: {message['Auto-Submitted']}")
    parts = list(message.iter_parts())
    types = [part.get_content_type() for part in parts]
    if types[:2] != ["text/plain", "message/delivery-status"] or types[2:] not in (
            ["text/rfc822-headers"], ["message/rfc822"], ["message/global-headers"]):
        return offences + [f"has the parts {types}"], {}, [], parts
    blocks = parts[1].get_payload()
    about, recipients = dict(blocks[0].items()), [dict(block.items()) for block in blocks[1:] if block.items()]
    for name in ("Reporting-MTA", "Arrival-Date"):
        if name not in about:
            offences.append(f"has no {name}")
    for recipient in recipients:
        kind, _, address = recipient.get("Final-Recipient", "").partition("; ")
        if kind not in ADDRESS_TYPES or "@" not in address:
            offences.append(f"has the recipient {recipient}")
        if recipient.get("Action") != "failed" or not re.fullmatch(r"[245]\.\d{1,3}\.\d{1,3}", recipient["Status"]):
            offences.append(f"has the fate {recipient}")
    if not recipients:
        offences.append("names no recipient")
    return offences, about, recipients, parts


def main(directory):
    count = bad = 0
    for path in sorted(Path(directory).glob("*.eml")):
        count += 1
        offences, _, _, parts = judge(path.read_bytes())
        if not parts[0].get_content().strip():
            offences.append("says nothing")
        for offence in offences:
            bad += 1
            print(f"{path.stem}: {offence}")
    print(f"{count} reports judged, {bad} offences")
    return 1 if bad or not count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Does tidy.py see what it should, and only that? Each case is a piece of text and the complaints it deserves."""

import sys
import tempfile
from pathlib import Path

import swift_text
import tidy

HEADER = f"// {tidy.HEADER}\n// {tidy.LICENCE}\n\n"
LONG_BODY = "    let x = 1\n" * 80

SWIFT = [
    ("let a = b\n", []),
    ("let a = try! b()\n", ["try!"]),
    ("let a = b as! C\n", ["as!"]),
    ("fatalError(why)\n", ["fatalError("]),
    ("let a = b!.c\n", ["force unwrap"]),
    ("let a = b()!\n", ["force unwrap"]),
    ("let a = b[0]!\n", ["force unwrap"]),
    ("var a: B!\n", ["force unwrap"]),
    ("if a != b && !c { d(!e) }\n", []),
    ("// try! print( b! are words here\n", []),
    ("/* try! /* b! */ as! */ let a = 1\n", []),
    ('let a = "try! b! print(c)"\n', []),
    ('let a = "\\(b!)"\n', ["force unwrap"]),
    ('let a = "\\(b["key"]!) c! "\n', ["force unwrap"]),
    ('let a = #"\\(b!)"#\n', []),
    ('let a = """\n    b! "quoted" try!\n    """\n', []),
    ("print(a)\n", ["print("]),
    ("description.print(a)\n", []),
    ("try await Task.sleep(for: .seconds(1))\n", ["not for time"]),
    ("usleep(5)\n", ["not for time"]),
    ("@testable import MailJob\n", ["@testable"]),
    ("import Foundation\n", ["import Foundation"]),
    ("import FoundationEssentials\n", []),
    ("let a = 1 \n", ["trailing"]),
    ("\tlet a = 1\n", ["a tab"]),
    (f"let a = {'b' * 120}\n", ["characters"]),
    ("func a() {\n" + LONG_BODY + "}\n", ["a function of 82 lines"]),
    ("    init(a: Int) throws(B) {\n" + LONG_BODY + "    }\n", ["a function of 82 lines"]),
    ("protocol A {\n    func b(\n        c: Int\n    ) -> D\n}\nenum E {\n" + LONG_BODY + "}\n", []),
    ("let a = 1\n" * 401, ["is there more than one noun"]),
]

PYTHON = [
    ("import time\ndef wait_for(a):\n    time.sleep(1)\n", []),
    ("import time\ndef test_a():\n    time.sleep(1)\n", ["not for time"]),
    ("import time\ndef test_a():\n    time.sleep(1)  # Measures time by nature.\n", []),
    ("def a():\n" + "    b = 1\n" * 80, ["a function of 81 lines"]),
]

MARKDOWN = [
    ("[a](there.md) and [b](https://example.org/x) and [c](#here)\n", []),
    ("[a](missing.md)\n", ["leads nowhere"]),
    ("a " * 61 + "\n", ["characters", "trailing"]),
    ("| " + "a " * 80 + "|\n", []),
    ("```\n" + "a" * 130 + "\n```\n", []),
    ("see /checkout/of/mine/README.md\n", ["path of one machine"]),
    ("see /checkout/of/minerals and https://x.example/checkout/of/mine/\n", []),
]


def complaints(root, name, text):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return [complaint for _, complaint in tidy.offences(root, name, ["/checkout/of/mine"])]


def is_right(found, wanted):
    return len(found) >= len(wanted) == len(set(found)) and all(any(w in f for f in found) for w in wanted)


def cases(root):
    (root / "docs").mkdir()
    (root / "docs/there.md").write_text("")
    python_header = HEADER.replace("//", "#")
    for text, wanted in SWIFT:
        yield text, complaints(root, "Tests/A/B.swift", HEADER + text), wanted
    for text, wanted in PYTHON:
        yield text, complaints(root, "Tests/System/b.py", python_header + text), wanted
    for text, wanted in MARKDOWN:
        yield text, complaints(root, "docs/a.md", text), wanted
    yield "no header", complaints(root, "Sources/A/B.swift", "let a = 1\n"), ["header lines"]
    yield "print in mailctl", complaints(root, "Sources/mailctl/A.swift", HEADER + "print(a)\n"), []
    yield "no header", complaints(root, "scripts/a", "#!/bin/sh\n"), ["header lines"]
    c_text = HEADER + "static int a(void) {\n" + "    b();\n" * 80 + "}\n"
    yield "long in C", complaints(root, "a.c", c_text), ["a function of 82 lines"]
    (root / "docs/decisions").mkdir()
    (root / "docs/decisions/README.md").write_text("[one](one.md)\n")
    yield "listed", complaints(root, "docs/decisions/one.md", "One.\n"), []
    yield "not listed", complaints(root, "docs/decisions/two.md", "Two.\n"), ["does not name this page"]
    kept = swift_text.code_of('a("b\n\\(c)")\n')
    yield "lines stay", [] if kept.count("\n") == 2 and "c" in kept and "b" not in kept else [kept], []


def main():
    passed = failed = 0
    with tempfile.TemporaryDirectory() as directory:
        for text, found, wanted in cases(Path(directory)):
            right = is_right(found, wanted)
            passed, failed = passed + right, failed + (not right)
            if not right:
                print(f"tidy said {found}, wanted {wanted}, of:\n{text[:200]}", file=sys.stderr)
    if failed:
        print(f"tidy's self-test: {failed} of {passed + failed} cases are wrong", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

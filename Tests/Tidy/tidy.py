# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""The habits of CONTRIBUTING.md as a test. usage: tidy.py (in the checkout; prints each offence as FILE:LINE: text)"""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import swift_text

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
LINE_LENGTH_MAX = 120

HEADER = "maild, the mail-job daemon"
LICENCE = "SPDX-License-Identifier: Apache-2.0"
CODE_SUFFIXES = {".swift", ".py", ".c", ".h", ".sh", ".go"}
VERBATIM = {"LICENSE"}
MAKEFILES = {"Makefile", "rules"}
GOFMT_HAS_TABS = {".go"}
DATA_SUFFIXES = {".json", ".resolved", ".eml", ".txt", ".ndjson", ".smtp"}

# (pattern, what to say, where it is forbidden). They see code without comments and strings.
FORBIDDEN_IN_SWIFT = [
    (r"\btry!", "try! crashes on what the world can cause", lambda path: True),
    (r"\bas!", "as! crashes on what the world can cause", lambda path: True),
    (r"\bfatalError\(", "fatalError(: throw, or precondition for a bug of ours", lambda path: True),
    (r"(?<=[\w\)\]\}>])(?<!\btry)(?<!\bas)!(?![=\w])", "force unwrap", lambda path: True),
    (r"@testable\b", "@testable: package access is enough", lambda path: True),
    (r"\bimport Foundation\b", "import Foundation: it weighs 60 MB", lambda path: True),
    (r"(?<![.\w])print\(", "print( outside mailctl", lambda path: not path.startswith("Sources/mailctl/")),
    (r"(?<!\w)u?sleep\(", "a test waits for a signal, not for time", lambda path: path.startswith("Tests/")),
]


def files(root):
    """What git tracks or would track, as paths relative to the root."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, check=True).stdout.decode()
    names = sorted({name for name in listed.split("\0") if name})
    return [name for name in names if (root / name).is_file()]


def text_of(path):
    """The file's text; None for what is not UTF-8 text."""
    data = path.read_bytes()
    try:
        return None if b"\0" in data else data.decode()
    except UnicodeDecodeError:
        return None


def is_code(name, text):
    return Path(name).suffix in CODE_SUFFIXES or Path(name).name == "Makefile" or text.startswith("#!")


def check_header(name, text):
    if name == "Package.swift" or not is_code(name, text):
        return
    lines = text.split("\n")
    if name.endswith(".swift"):
        if lines[:3] != [f"// {HEADER}", f"// {LICENCE}", ""]:
            yield 1, "does not begin with the two header lines and an empty one"
    elif not (any(HEADER in line for line in lines[:3]) and any(LICENCE in line for line in lines[:4])):
        yield 1, "the header lines are missing"


def check_lines(name, text):
    if Path(name).suffix in DATA_SUFFIXES or name in VERBATIM:
        return
    lines = text.split("\n")
    if text and not text.endswith("\n"):
        yield len(lines), "the last line has no end"
    if is_code(name, text) and len(lines) - 1 > FILE_LINES_MAX:
        yield FILE_LINES_MAX, f"{len(lines) - 1} lines (at most {FILE_LINES_MAX}): is there more than one noun in it?"
    for number, line in enumerate(lines, 1):
        if line != line.rstrip():
            yield number, "trailing white space"
        if "\t" in line and Path(name).name not in MAKEFILES and Path(name).suffix not in GOFMT_HAS_TABS:
            yield number, "a tab"
    yield from check_line_length(name, text)


def check_line_length(name, text):
    """Tables and literal blocks of Markdown, and text in Swift's long strings, may be longer: they cannot be broken."""
    data = [False] * (text.count("\n") + 1)
    if name.endswith(".swift"):
        code = swift_text.code_of(text).split("\n")
        data = [not line.strip() for line in code]
    elif name.endswith(".md"):
        data = markdown_data(text)
    for number, (line, is_data) in enumerate(zip(text.split("\n"), data), 1):
        comment = line.lstrip().startswith("//")
        if len(line) > LINE_LENGTH_MAX and (comment or not is_data):
            yield number, f"{len(line)} characters (at most {LINE_LENGTH_MAX})"


def markdown_data(text):
    fenced, result = False, []
    for line in text.split("\n"):
        fence = line.lstrip().startswith("```")
        result.append(fenced or fence or line.startswith(("|", "    ")) or "](" in line)
        fenced ^= fence
    return result


def check_swift(name, text):
    if not name.endswith(".swift"):
        return
    code = swift_text.code_of(text)
    for pattern, complaint, applies in FORBIDDEN_IN_SWIFT:
        if applies(name):
            for match in re.finditer(pattern, code):
                yield swift_text.line_of(code, match.start()), complaint
    for first, last in swift_text.functions(code):
        yield from too_long(first, last)


def too_long(first, last):
    length = last - first + 1
    if length > FUNCTION_LINES_MAX:
        yield first, f"a function of {length} lines (at most {FUNCTION_LINES_MAX})"


def check_python(name, text):
    """In tests a sleep is allowed as the step of a poll with a deadline, in a function named wait_…, poll_… or until…,
    and where time is what is measured: the line then says so in a comment."""
    if not name.endswith(".py") and not re.match(r"#!.*\bpython3\n", text):
        return
    tree, lines = ast.parse(text), text.split("\n")
    polls = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from too_long(node.lineno, node.end_lineno)
            if node.name.lstrip("_").startswith(("wait_", "poll_", "until")):
                polls.update(ast.walk(node))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "sleep":
            if name.startswith("Tests/") and node not in polls and "  # " not in lines[node.lineno - 1]:
                yield node.lineno, "a test waits for a signal, not for time (or polls, or says why in a comment)"


def check_c(name, text):
    if Path(name).suffix != ".c":
        return
    first = None
    for number, line in enumerate(text.split("\n"), 1):
        if re.match(r"[A-Za-z].*\)\s*\{$", line):
            first = number
        elif line == "}" and first:
            yield from too_long(first, number)
            first = None


def check_links(root, name, text):
    """Relative links lead to a file; each page of docs/decisions is named by its README."""
    if not name.endswith(".md"):
        return
    here = (root / name).parent
    for number, line in enumerate(text.split("\n"), 1):
        for target in re.findall(r"\]\(<?([^)#>\s]+)", line):
            if not re.match(r"[a-z]+:", target) and not (here / target).exists():
                yield number, f"the link {target} leads nowhere"
    if here == root / "docs/decisions" and Path(name).name != "README.md":
        index = here / "README.md"
        if not index.exists() or f"]({Path(name).name}" not in index.read_text():
            yield 1, "docs/decisions/README.md does not name this page"


def machine_paths(root):
    """Directories that only this machine has: the checkout, those above it, home, and where Swift is installed."""
    common = {"/", "/home", "/root", "/tmp", "/usr", "/var", "/opt", "/srv", "/mnt", "/usr/local", "/var/tmp"}
    swift = shutil.which("swift")
    places = [root, *root.parents, Path.home()] + ([Path(os.path.realpath(swift)).parents[2]] if swift else [])
    return sorted({str(place) for place in places} - common)


def check_paths(name, text, places):
    ours = "|".join(map(re.escape, places)) or "(?!)"
    pattern = re.compile(rf"(?<![\w.\-])(?:{ours})(?=[/\"'\s:]|$)|/(?:home|Users)/\w+/")
    for number, line in enumerate(text.split("\n"), 1):
        if match := pattern.search(line):
            yield number, f"{match.group()} is a path of one machine"


def offences(root, name, places):
    text = text_of(root / name)
    if text is None:
        return
    yield from check_header(name, text)
    yield from check_lines(name, text)
    yield from check_swift(name, text)
    yield from check_python(name, text)
    yield from check_c(name, text)
    yield from check_links(root, name, text)
    yield from check_paths(name, text, places)


def main():
    root = Path(__file__).resolve().parents[2]
    places = machine_paths(root)
    passed = failed = 0
    for name in files(root):
        found = sorted(set(offences(root, name, places)))
        for line, complaint in found:
            print(f"{name}:{line}: {complaint}")
        passed, failed = passed + (not found), failed + bool(found)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

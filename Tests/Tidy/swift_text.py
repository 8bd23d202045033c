# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Swift source with its comments and strings blanked out, so that patterns see code alone."""

import re

FUNCTION = re.compile(
    r"^[ \t]*(?:@\w+(?:\([^)]*\))?\s+)*(?:[a-z]+(?:\([a-z]+\))?\s+)*?"
    r"(?:func\b|init\b[?!]?\s*[<(]|deinit\b|subscript\b)",
    re.MULTILINE,
)
STRING_START = re.compile(r'(#*)("""|")')


def blank(text):
    """Characters turned into spaces; line ends stay, so that line numbers do."""
    return re.sub(r"[^\n]", " ", text)


def code_of(source):
    """The source with comments and strings blanked; code in interpolations stays."""
    out, at = [], 0
    while at < len(source):
        end = skip_comment(source, at)
        if end > at:
            out.append(blank(source[at:end]))
        elif match := STRING_START.match(source, at):
            piece, end = string_at(source, match)
            out.append(piece)
        else:
            end = at + 1
            out.append(source[at])
        at = end
    return "".join(out)


def skip_comment(source, at):
    """Where the comment at `at` ends, or `at` where none begins. Swift's block comments nest."""
    if source.startswith("//", at):
        end = source.find("\n", at)
        return len(source) if end < 0 else end
    if not source.startswith("/*", at):
        return at
    depth, at = 1, at + 2
    while depth and at < len(source):
        if source.startswith("/*", at) or source.startswith("*/", at):
            depth += 1 if source[at] == "/" else -1
            at += 2
        else:
            at += 1
    return at


def string_at(source, start):
    """The string that begins with `start`, blanked but for its interpolations, and where it ends."""
    hashes, quotes = start.groups()
    closing, escape = quotes + hashes, "\\" + hashes
    out, at = [blank(start.group())], start.end()
    while at < len(source) and not source.startswith(closing, at):
        if source.startswith(escape + "(", at):
            end = interpolation_end(source, at + len(escape) + 1)
            out.append(blank(escape) + "(" + code_of(source[at + len(escape) + 1 : end - 1]) + ")")
        else:
            end = at + (len(escape) + 1 if source.startswith(escape, at) else 1)
            out.append(blank(source[at:end]))
        at = end
    end = min(at + len(closing), len(source))
    out.append(blank(source[at:end]))
    return "".join(out), end


def interpolation_end(source, at):
    """Just behind the parenthesis that closes the interpolation whose code begins at `at`."""
    depth = 1
    while depth and at < len(source):
        if match := STRING_START.match(source, at):
            at = string_at(source, match)[1]
            continue
        depth += {"(": 1, ")": -1}.get(source[at], 0)
        at += 1
    return at


def functions(code):
    """(first line, last line) of each function with a body; the signature counts."""
    for match in FUNCTION.finditer(code):
        start = match.end() - (1 if code[match.end() - 1] in "(<" else 0)
        body = body_start(code, start)
        if body is not None:
            first = match.start() + len(match.group()) - len(match.group().lstrip())
            yield line_of(code, first), line_of(code, matching_brace(code, body))


def body_start(code, at):
    """Where the body's brace opens; None for a protocol's requirement, which has none."""
    depth = 0
    while at < len(code):
        char = code[at]
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(char, 0)
        if depth == 0 and char == "{":
            return at
        if depth == 0 and char == "}":
            return None
        if depth == 0 and char == "\n" and not re.match(r"\s*(?:\{|->|where\b|throws\b|async\b|\()", code[at:]):
            return None
        at += 1
    return None


def matching_brace(code, at):
    depth = 0
    for index in range(at, len(code)):
        depth += {"{": 1, "}": -1}.get(code[index], 0)
        if depth == 0:
            return index
    return len(code) - 1


def line_of(text, at):
    return text.count("\n", 0, at) + 1

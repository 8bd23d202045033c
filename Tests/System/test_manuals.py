# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""The manual pages and the configuration that is installed: well formed, and of one mind with the code."""

import json
import re
import subprocess

import pytest
from maild import MAILCTL, MAILD, ROOT

MAN = ROOT / "man"
PAGES = sorted(path for path in MAN.rglob("*") if path.is_file())
INSTALLED = ROOT / "packaging/maild.toml"
CONFIGURATION_PAGE = ROOT / "docs/configuration.md"


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def keys():
    """{table: [key]} as ConfigurationKeys.swift has them."""
    text = (ROOT / "Sources/MailDaemon/ConfigurationKeys.swift").read_text()
    tables = re.search(r"static let tables: .*? = \[(.*?)\n    \]", text, re.DOTALL).group(1)
    found = re.findall(r'"([^"]*)": \[(.*?)\]', tables, re.DOTALL)
    assert len(found) > 5
    return {table: re.findall(r'"([^"]+)"', names) for table, names in found}


def sections(page):
    """{heading: text} of a page."""
    parts = re.split(r"^\.Sh (.*)\n", (MAN / page).read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def items(text):
    """What the entries of a page's lists name, but for words that only explain."""
    return [word for line in re.findall(r"^\.It (.*)$", text, re.MULTILINE)
            for word in line.replace(",", " ").split() if len(word) > 2 or word == "h"]


def tables_of(page):
    """{table: [key]} as the manual page has them."""
    found = {"": items(sections(page)["BEFORE THE FIRST TABLE"])}
    for heading, text in sections(page).items():
        if match := re.fullmatch(r"\[+(\w+)(\.NAME)?\]+", heading):
            # The keys of [relay.NAME] stand under `relay`; where a table has keys of its own too, under `exec.NAME`.
            name = match.group(1) + (match.group(2) or "")
            found[name if name in keys() else match.group(1)] = re.findall(r"[a-z][a-z0-9_]+", " ".join(
                line for line in re.findall(r"^\.It Ic (.*)$", text, re.MULTILINE)))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_well_formed(page):
    lint = run("mandoc", "-T", "lint", "-W", "warning", str(page))
    assert (lint.returncode, lint.stdout) == (0, "")
    # `man` warns of a locale that is not installed.
    groff = run("env", "LC_ALL=C.UTF-8", "man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", str(page))
    assert (groff.returncode, groff.stderr) == (0, "")


def test_maild_toml_has_every_key_and_no_other():
    page, code = tables_of("maild.toml.5"), keys()
    missing = {f"[{table}] {key}" for table, names in code.items() for key in names if key not in page.get(table, [])}
    assert not missing, f"man/maild.toml.5 says nothing of {sorted(missing)}; add an .It Ic KEY to the table's section"
    surplus = {f"[{table}] {key}" for table, names in page.items()
               for key in names if key not in code.get(table, []) + ["Ic"]}
    assert not surplus, f"man/maild.toml.5 explains what is no key: {sorted(surplus)}"


def test_configuration_md_has_every_key():
    text = CONFIGURATION_PAGE.read_text()
    # `a_file` or `…_credential` stands for both.
    names = {key for names in keys().values() for key in names}
    missing = [key for key in names if f"`{key}`" not in text and not (
        key.endswith("_credential") and f"`{key.replace('_credential', '_file')}` or `…_credential`" in text)]
    assert not missing, f"docs/configuration.md says nothing of {missing}"


def test_every_verb_and_option_is_in_mailctl_1():
    page = (MAN / "mailctl.1").read_text()
    verbs = json.loads(run(MAILCTL, "--experimental-dump-help").stdout)["command"]["subcommands"]
    assert len(verbs) > 9
    named = set(re.findall(r"[\w-]+", " ".join(re.findall(r"^\.It Cm (.*)$", page, re.MULTILINE))))
    missing = [verb["commandName"] for verb in verbs if verb["commandName"] not in named]
    for verb in verbs[:-1]:  # The last is `help`, whose own options ArgumentParser makes up.
        for argument in verb.get("arguments", []):
            for name in argument.get("names", []):
                flag = rf"Fl \\?-{name['name']}\b" if name["kind"] == "long" else rf"Fl {name['name']}\b"
                if not re.search(flag, page):
                    missing.append(f"{verb['commandName']} --{name['name']}")
    assert verbs[-1]["commandName"] == "help"
    assert not missing, f"man/mailctl.1 says nothing of {missing}; add an .It Cm VERB or .It Fl -OPTION"


def test_every_field_and_error_of_the_protocol_is_in_maild_protocol_7():
    contract = (ROOT / "docs/protocol.md").read_text().split("## Control")[0]
    rows = re.findall(r"^\| (`.*?) \|", contract, re.MULTILINE)
    words = [word for row in rows for word in re.findall(r"`(\w+)`", row)]
    assert {"subject", "queue_full", "expires_at"} <= set(words)
    page = (MAN / "maild-protocol.7").read_text()
    missing = [word for word in words if not re.search(rf"^\..*\b{word}\b", page, re.MULTILINE)]
    assert not missing, f"man/maild-protocol.7 says nothing of {missing}, which docs/protocol.md has"


def uncommented():
    """The installed configuration with all that it shows in force."""
    return re.sub(r"^#(?=\[|[a-z_]+ = )", "", INSTALLED.read_text(), flags=re.MULTILINE)


@pytest.mark.parametrize("text", [INSTALLED.read_text(), uncommented()], ids=["as installed", "uncommented"])
def test_the_installed_configuration_is_good(tmp_path, text):
    file = tmp_path / "maild.toml"
    file.write_text(text)
    verdict = run(MAILD, "--check-config", str(file))
    assert (verdict.returncode, verdict.stderr) == (0, "")


def test_the_example_of_several_relays_is_good(tmp_path):
    text = (ROOT / "examples/relay.toml").read_text()
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", tmp_path / "dkim-s1"], check=True)
    (tmp_path / "maild.toml").write_text(text)
    verdict = run("env", f"CREDENTIALS_DIRECTORY={tmp_path}", MAILD, "--check-config", str(tmp_path / "maild.toml"))
    assert (verdict.returncode, verdict.stderr) == (0, "")


def defaults(table):
    """{key: default} of a table, as docs/configuration.md has them."""
    rows = re.findall(r"^\| (?:`\[+(\w+)[^`]*\]` )?(`\w+`(?:, `\w+`)*) \| (.*?) \|", CONFIGURATION_PAGE.read_text(),
                      re.MULTILINE)
    return {key: default for of, names, values in rows if of == table
            for key, default in zip(re.findall(r"\w+", names), values.replace("`", "").split(", "))}


def test_what_the_installed_configuration_shows_is_the_default():
    """A line like `#workers = 8` claims to be the default."""
    examples = {"hostname", "host", "port", "user", "password_file", "concurrency_max", "command", "database",
                "node"}
    table, compared = "", 0
    for line in INSTALLED.read_text().split("\n"):
        if header := re.match(r"#?\[+(\w+)", line):
            table = header.group(1)
        elif (shown := re.match(r"#(\w+) = (.*)$", line)) and shown.group(1) not in examples:
            assert shown.group(2).strip('"') == defaults(table).get(shown.group(1), "?").strip('"'), (table, line)
            compared += 1
    assert compared > 20


def test_the_installed_configuration_shows_every_table_and_every_plain_key():
    text = INSTALLED.read_text()
    for table, names in keys().items():
        table = table.removesuffix(".NAME")
        assert not table or re.search(rf"\[{table}[\].]", text), f"packaging/maild.toml does not show [{table}]"
        if table not in ("relay", "queue", "app", "route", "dkim", "webhook", "exec"):
            missing = [key for key in names if not re.search(rf"^#\s*{key} = ", text, re.MULTILINE)]
            assert not missing, f"packaging/maild.toml does not show [{table}] {missing}"

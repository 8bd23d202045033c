# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""The Debian package as a file: what a Debian developer looks at before installing it."""

import hashlib
import re
import subprocess

import packages as debian
from maild import ROOT


def contents(package):
    """{path: mode}."""
    listed = subprocess.run(["dpkg-deb", "-c", package], capture_output=True, text=True, check=True).stdout
    lines = [line.split(None, 5) for line in listed.splitlines()]
    return {path[1:].split(" -> ")[0]: (mode, owner) for mode, owner, _, _, _, path in lines}


def test_lintian_finds_neither_error_nor_warning(packages):
    for package in packages.values():
        verdict = subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning", package],
                                 capture_output=True, text=True, timeout=300)
        assert verdict.returncode == 0, verdict.stdout


def test_two_builds_are_the_same_to_the_bit(packages, tmp_path):
    again = debian.build(tmp_path)
    digests = [{name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in made.items()}
               for made in (packages, again)]
    assert digests[0] == digests[1]


def test_the_package_has_the_version_of_the_programs(packages):
    source = (ROOT / "Sources/MailJob/Version.swift").read_text()
    assert debian.version(packages["maild"]).rsplit("-", 1)[0] == re.search(r'text = "(.*)"', source).group(1)


def test_the_package_holds_what_it_promises(packages):
    held = contents(packages["maild"])
    for path in [
        "/usr/sbin/maild", "/usr/bin/mailctl", "/etc/maild/maild.toml",
        "/lib/systemd/system/maild.service", "/lib/systemd/system/maild.socket",
        "/lib/systemd/system/maild-control.socket", "/lib/systemd/system/maild-metrics.socket",
        "/usr/lib/sysusers.d/maild.conf", "/usr/lib/tmpfiles.d/maild.conf", "/usr/lib/systemd/catalog/maild.catalog",
        "/usr/share/man/man8/maild.8.gz", "/usr/share/man/man1/mailctl.1.gz", "/usr/share/man/man5/maild.toml.5.gz",
        "/usr/share/man/man7/maild-protocol.7.gz", "/usr/share/bash-completion/completions/mailctl",
        "/usr/share/zsh/vendor-completions/_mailctl", "/usr/share/fish/vendor_completions.d/mailctl.fish",
        "/usr/share/doc/maild/README.Debian", "/usr/share/doc/maild/copyright", "/usr/share/doc/maild/changelog.gz",
        "/usr/share/doc/maild/docs/operations.md", "/usr/share/doc/maild/examples/submit.py",
    ]:
        assert path in held, path
    assert {owner for _, owner in held.values()} == {"root/root"}
    assert not [path for path, (mode, _) in held.items() if "s" in mode or mode[8] == "w"], "setuid or world-writable"


def test_feeds_are_a_package_of_their_own_and_no_brokers_library_is_needed_without_it(packages):
    held = contents(packages["maild-feed"])
    for path in ["/usr/sbin/maild-feed", "/lib/systemd/system/maild-feed@.service",
                 "/usr/lib/sysusers.d/maild-feed.conf", "/usr/share/man/man8/maild-feed.8.gz", "/etc/maild/feeds/",
                 "/usr/share/man/man5/maild-feed.toml.5.gz", "/usr/lib/systemd/catalog/maild-feed.catalog",
                 "/usr/share/bash-completion/completions/maild-feed"]:
        assert path in held, path
    def needs(package):
        shown = subprocess.run(["dpkg-deb", "-f", packages[package], "Depends"], capture_output=True, text=True)
        return shown.stdout
    assert {"librabbitmq4", "librdkafka1"} <= set(re.findall(r"[\w.+-]+", needs("maild-feed")))
    assert "sqlite" not in needs("maild-feed")
    assert not re.search("rabbitmq|rdkafka|hiredis", needs("maild") + needs("maild-mta"))


def test_what_stands_in_etc_is_a_conffile(packages):
    listed = subprocess.run(["dpkg-deb", "-I", packages["maild"], "conffiles"], capture_output=True, text=True).stdout
    files = [path for path, (mode, _) in contents(packages["maild"]).items()
             if path.startswith("/etc/") and mode[0] == "-"]
    assert files and sorted(listed.split()) == sorted(files)


def test_the_copyright_names_every_package_that_is_linked():
    text = (ROOT / "packaging/debian/copyright").read_text()
    checkouts = [path.name for path in (ROOT / ".build/checkouts").iterdir()]
    missing = [name for name in checkouts if name not in text]
    assert checkouts and not missing, f"packaging/debian/copyright does not name {missing}"

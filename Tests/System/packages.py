# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""The Debian packages as `make deb` builds them, and the same of another version."""

import re
import subprocess
from pathlib import Path

from maild import ROOT


def build(output):
    """{package: file} of what scripts/build-deb makes."""
    made = subprocess.run([ROOT / "scripts/build-deb", output], capture_output=True, text=True, timeout=600)
    assert made.returncode == 0, (made.stdout + made.stderr)[-5000:]
    return {file.name.split("_")[0]: file for file in Path(output).glob("*.deb")}


def version(package):
    shown = subprocess.run(["dpkg-deb", "-f", package, "Version"], capture_output=True, text=True, check=True)
    return shown.stdout.strip()


def of_version(package, other, output):
    """The package with another version number, which its unit shows too: so an upgrade has something to change."""
    tree = Path(output) / "tree"
    subprocess.run(["dpkg-deb", "-R", package, tree], check=True)
    control = tree / "DEBIAN/control"
    text = re.sub(r"^Version: .*$", f"Version: {other}", control.read_text(), flags=re.MULTILINE)
    # Those that belong to maild want the maild of their own version.
    control.write_text(re.sub(r"\bmaild \(= [^)]*\)", f"maild (= {other})", text))
    unit = tree / "lib/systemd/system/maild.service"
    if unit.exists():
        unit.write_text(unit.read_text() + f"# {other}\n")
    file = Path(output) / f"{package.name.split('_')[0]}_{other}.deb"
    subprocess.run(["dpkg-deb", "-Znone", "--root-owner-group", "-b", tree, file], check=True, capture_output=True)
    return file

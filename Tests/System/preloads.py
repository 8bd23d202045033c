# maild, the mail-job daemon
# SPDX-License-Identifier: Apache-2.0
"""Small libraries in C that stand between maild and the machine (LD_PRELOAD)."""

import subprocess
from pathlib import Path


def preload(name, directory):
    """The path of the library, built in `directory` from the file of that name beside this one."""
    library = directory / f"{name}.so"
    source = Path(__file__).with_name(f"{name}.c")
    subprocess.run(["cc", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, source], check=True)
    return library

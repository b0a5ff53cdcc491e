"""A real JupyterLab, with nothing installed but what Binder installs."""

import hashlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from uv import find_uv_bin

ROOT = Path(__file__).resolve().parents[2]
INSTALLED_BY = ("requirements.txt", "requirements.lock", "pyproject.toml")
NO_SOURCES = (".git", ".venv", ".*cache", ".hypothesis", "_build", "node_modules", "__pycache__")
SETTINGS = ("tools/jupyter/etc/jupyter/labconfig/default_setting_overrides.json",)


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab: its address, the token it asks for, the folder it shows."""

    url: str
    token: str
    folder: Path


@dataclass(frozen=True)
class Recipe:
    """What Binder does with this repository: its Python, and the commands that install, in the repository's folder."""

    python: str
    commands: tuple[str, ...]


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    """As repo2docker, which Binder runs, says it would do it."""
    done = subprocess.run([sys.executable, "-m", "repo2docker", "--no-build", "--debug", "."], cwd=ROOT,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    python = re.search(r"^Building conda environment for python=(\S+)$", done.stdout, re.MULTILINE)
    assert python, done.stdout[:4000]
    commands = re.findall(r"^RUN \$\{KERNEL_PYTHON_PREFIX\}/bin/(pip .*)$", done.stdout, re.MULTILINE)
    return Recipe(python[1], tuple(commands))


@pytest.fixture(scope="session")
def environment(recipe: Recipe) -> Path:
    """A virtual environment made by Binder's commands alone; the first is run again when what it reads has changed."""
    content = b"".join((ROOT / name).read_bytes() for name in INSTALLED_BY + SETTINGS)
    key = hashlib.sha256(sys.version.encode() + recipe.commands[0].encode() + content).hexdigest()[:16]
    place = ROOT / "_build" / "jupyterlab" / key
    home, repository = place / "environment", place / "repository"
    left = recipe.commands[1:] if (place / "complete").exists() else recipe.commands
    if left == recipe.commands:
        shutil.rmtree(place.parent, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    shutil.rmtree(repository, ignore_errors=True)
    shutil.copytree(ROOT, repository, ignore=shutil.ignore_patterns(*NO_SOURCES))
    for command in left:
        install(command, home, repository)
    (place / "complete").touch()
    return home


def install(command: str, home: Path, repository: Path) -> None:
    """Run one of Binder's commands: by uv in a tenth of pip's time, or by pip, which may know a mirror uv does not."""
    by_uv = command.replace("pip install --no-cache-dir", f'"{find_uv_bin()}" --native-tls pip install --no-cache')
    assert by_uv != command
    surroundings = {**os.environ, "PATH": f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}", "VIRTUAL_ENV": str(home),
                    "PIP_NO_COMPILE": "1"}  # most of it is never imported here
    said = []
    for each in (by_uv, command):
        done = subprocess.run(each, shell=True, cwd=repository, capture_output=True, text=True, check=False,
                              env=surroundings)
        if done.returncode == 0:
            return
        said.append(f"{each}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    raise AssertionError("\n".join(said))


@pytest.fixture(scope="session")
def lab(environment: Path, tmp_path_factory) -> Iterator[Lab]:
    """JupyterLab on a copy of the book, with settings and a home of its own."""
    folder, home = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("home")
    shutil.copytree(ROOT / "book", folder / "book", ignore=shutil.ignore_patterns("node_modules", "_ext"))
    token = secrets.token_urlsafe(16)
    surroundings = {"PATH": f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}", "HOME": str(home),
                    "JUPYTER_CONFIG_DIR": str(home / "config"), "JUPYTER_DATA_DIR": str(home / "data"),
                    "JUPYTER_RUNTIME_DIR": str(home / "runtime"), "IPYTHONDIR": str(home / "ipython")}
    log = home / "log"
    with open(log, "w") as out:
        server = subprocess.Popen(
            [environment / "bin/python", "-m", "jupyterlab", "--no-browser", "--allow-root", "--port=0",
             f"--ServerApp.root_dir={folder}", f"--IdentityProvider.token={token}"],
            cwd=folder, env=surroundings, stdout=out, stderr=subprocess.STDOUT)
    try:
        yield Lab(wait_for_server(server, home / "runtime", log), token, folder)
    finally:
        server.terminate()
        server.wait(timeout=30)


def wait_for_server(server: subprocess.Popen, runtime: Path, log: Path) -> str:
    """Address of the server once it answers; it writes its port into a file of the runtime folder."""
    for _ in range(600):
        assert server.poll() is None, f"JupyterLab stopped:\n{log.read_text()[-4000:]}"
        for found in runtime.glob("jpserver-*.json"):
            port = json.loads(found.read_text() or "{}").get("port")
            address = f"http://127.0.0.1:{port}"
            try:
                urllib.request.urlopen(f"{address}/api", timeout=5).close()
            except (urllib.error.URLError, ConnectionError):
                continue
            return address
        time.sleep(0.1)
    raise AssertionError(f"JupyterLab does not answer:\n{log.read_text()[-4000:]}")


@pytest.fixture(scope="session")
def lab_page(lab: Lab, browser: Browser) -> Iterator[Page]:
    """JupyterLab's window in a browser."""
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    foreign = []
    page.on("request", lambda r: None if r.url.startswith((lab.url, "data:", "blob:")) else foreign.append(r.url))
    page.goto(f"{lab.url}/lab?reset&token={lab.token}")  # whatever another page has left open
    page.locator(".jp-DirListing-item").first.wait_for(timeout=60_000)
    yield page
    page.close()
    assert not foreign, f"JupyterLab asked other sites: {foreign}"

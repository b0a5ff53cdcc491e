"""A real JupyterLab, with nothing installed but what requirements.txt names."""

import hashlib
import json
import os
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

ROOT = Path(__file__).resolve().parents[2]
INSTALLED_BY = ("requirements.txt", "requirements.lock", "pyproject.toml")
SETTINGS = ("tools/jupyter/etc/jupyter/labconfig/default_setting_overrides.json",)


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab: its address, the token it asks for, the folder it shows."""

    url: str
    token: str
    folder: Path


@pytest.fixture(scope="session")
def environment() -> Path:
    """A virtual environment made from requirements.txt alone; made anew when one of its files changed."""
    content = b"".join((ROOT / name).read_bytes() for name in INSTALLED_BY + SETTINGS)
    home = ROOT / "_build" / "jupyterlab" / hashlib.sha256(sys.version.encode() + content).hexdigest()[:16]
    if not (home / "complete").exists():
        shutil.rmtree(home.parent, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
        done = subprocess.run([sys.executable, "-m", "uv", "--native-tls", "pip", "install", "--quiet", "--python",
                               str(home / "bin/python"), "-r", "requirements.txt"],
                              cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"requirements.txt does not install:\n{done.stderr}"
        (home / "complete").touch()
    return home


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
    page.goto(f"{lab.url}/lab?token={lab.token}")
    page.locator(".jp-DirListing-item").first.wait_for(timeout=60_000)
    yield page
    page.close()
    assert not foreign, f"JupyterLab asked other sites: {foreign}"

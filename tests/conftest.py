"""What more than one folder of tests needs: the repository's root and the built book."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def built_book(request) -> Path:
    """The built site.

    Built by the first test that asks, every page anew and with warnings as errors, whatever the number of
    pytest's processes. ``KMM_SITE=_build/html pytest ...`` takes a site that was built before instead.
    """
    if site := os.environ.get("KMM_SITE"):
        assert (Path(site) / "index.html").is_file(), f"KMM_SITE={site} is no built book"
        return Path(site).resolve()
    build = ROOT / "_build"
    build.mkdir(exist_ok=True)
    run = getattr(request.config, "workerinput", {}).get("testrunuid", str(os.getpid()))
    with open(build / ".test-run", "a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        if lock.read() != run:
            build_book()
            lock.truncate(0)
            lock.write(run)
    return build / "html"


def build_book() -> None:
    """Build the book as `make html` does."""
    command = [sys.executable, "-m", "jupyter_book", "build", str(ROOT), "--all", "-W", "-n", "--keep-going"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, f"the book does not build without warnings:\n{done.stdout[-8000:]}"

"""Find the Chromium that the browser tests drive, or install one.

    python tools/get_chromium.py

A Chromium of the system is preferred. Where there is none, root on Debian gets the package `chromium`; anybody else
gets Playwright's own download.
"""

import os
import shutil
import subprocess
import sys


def system_chromium() -> str | None:
    """Path of the system's Chromium; None if there is none, or one that does not start (Ubuntu's snap stub)."""
    path = shutil.which("chromium", path=os.environ.get("PATH", "") + ":/usr/bin")
    if path and subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0:
        return path
    return None


def playwright_chromium() -> str | None:
    """Path of Playwright's Chromium; None if it was not downloaded."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if os.path.exists(path) else None


def install() -> None:
    """Install a Chromium the way this machine can."""
    if hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        print("Installing Debian's package chromium ...", flush=True)
        subprocess.run(["apt-get", "-qq", "update"], check=False)
        subprocess.run(["apt-get", "-qq", "install", "-y", "--no-install-recommends", "chromium"],
                       check=False, stdout=subprocess.DEVNULL, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})
        if system_chromium():
            return
    print("Downloading Playwright's Chromium ...", flush=True)
    download = [sys.executable, "-m", "playwright", "install", "chromium"]
    if subprocess.run([*download, "--with-deps"], check=False).returncode != 0:
        subprocess.run(download, check=False)


def main() -> int:
    """Make sure there is a Chromium; exit status 1 if there is none in the end."""
    if not (system_chromium() or playwright_chromium()):
        install()
    path = system_chromium() or playwright_chromium()
    if not path:
        print("No Chromium, which the browser tests need. Install the package chromium, or run:\n"
              f"  {sys.executable} -m playwright install --with-deps chromium", file=sys.stderr)
        return 1
    print(f"Browser for the tests: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

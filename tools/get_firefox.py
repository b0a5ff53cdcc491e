"""Find the Firefox that the browser tests drive beside Chromium, or install one.

    python tools/get_firefox.py

A Firefox of the system is preferred: Playwright drives it through tools/firefox_relay.py. Where there is none, root on
Debian gets the package `firefox-esr`; anybody else gets Playwright's own.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

RELAY = Path(__file__).resolve().with_name("firefox_relay.py")


def system_firefox() -> str | None:
    """Path of the system's Firefox; None if there is none, or one that does not start (Ubuntu's snap stub)."""
    path = shutil.which("firefox-esr") or shutil.which("firefox")
    if path and subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0:
        return path
    return None


def playwright_firefox() -> str | None:
    """Path of Playwright's Firefox; None if it was not downloaded."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.firefox.executable_path
    return path if os.path.exists(path) else None


def launch_options() -> dict[str, Any]:
    """What ``playwright.firefox.launch`` needs for the Firefox there is."""
    return {"channel": "moz-firefox", "executable_path": str(RELAY)} if system_firefox() else {}


def install() -> None:
    """Install a Firefox the way this machine can."""
    if hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        print("Installing Debian's package firefox-esr ...", flush=True)
        subprocess.run(["apt-get", "-qq", "update"], check=False)
        subprocess.run(["apt-get", "-qq", "install", "-y", "--no-install-recommends", "firefox-esr"],
                       check=False, stdout=subprocess.DEVNULL, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})
        if system_firefox():
            return
    print("Downloading Playwright's Firefox ...", flush=True)
    download = [sys.executable, "-m", "playwright", "install", "firefox"]
    if subprocess.run([*download, "--with-deps"], check=False).returncode != 0:
        subprocess.run(download, check=False)


def main() -> int:
    """Make sure there is a Firefox; exit status 1 if there is none in the end."""
    if not (system_firefox() or playwright_firefox()):
        install()
    path = system_firefox() or playwright_firefox()
    if not path:
        print("No Firefox, which the browser tests need. Install the package firefox-esr, or run:\n"
              f"  {sys.executable} -m playwright install --with-deps firefox", file=sys.stderr)
        return 1
    print(f"Second browser for the tests: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

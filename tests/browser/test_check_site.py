"""The look at the published book finds nothing on this one, and what is wrong with others."""

import shutil

from check_site import faults
from serve_book import serving


def test_a_sound_site_has_no_faults(browser, site):
    assert faults(browser, site) == []


def test_a_site_without_its_live_files_has(browser, built_book, tmp_path):
    shutil.copytree(built_book, tmp_path / "site", ignore=shutil.ignore_patterns("packages-*"))
    with serving(tmp_path / "site") as address:
        assert any("404" in fault for fault in faults(browser, address))

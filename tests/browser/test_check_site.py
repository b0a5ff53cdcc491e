"""The look at the published book finds nothing on this one, and what is wrong with others."""

import shutil

from check_site import faults, others
from serve_book import serving


def test_a_sound_site_has_no_faults(browser, site):
    assert faults(browser, site) == []


def test_a_site_without_its_live_files_has(browser, built_book, tmp_path):
    shutil.copytree(built_book, tmp_path / "site", ignore=shutil.ignore_patterns("packages-*"))
    with serving(tmp_path / "site") as address:
        assert any("404" in fault for fault in faults(browser, address))


def test_a_site_of_another_build_is_told_from_this_one(built_book, site, tmp_path):
    for name in ("sw.js", "book/index.html"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(built_book / name, tmp_path / name)
    assert others(site, tmp_path) == []
    with open(tmp_path / "sw.js", "a") as worker:
        worker.write("// another")
    (tmp_path / "gone.html").touch()
    assert others(site, tmp_path) == ["gone.html: HTTP Error 404: File not found", "sw.js is not the one of this build"]

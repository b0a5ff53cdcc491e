"""What was left out of the built site is what nothing uses."""

import re
from pathlib import Path

import pydata_sphinx_theme
from fontTools.ttLib import TTFont

THEME = Path(pydata_sphinx_theme.__file__).parent / "theme/pydata_sphinx_theme/static"
RULE = re.compile(r"((?:\.fa-[\w-]+:before,?)+)\{content:\"\\([0-9a-f]+)\"")


def icons() -> dict[str, int]:
    """The character of each icon of the theme, by name."""
    (sheet,) = THEME.glob("vendor/fontawesome/*/css/all.min.css")
    return {name: int(code, 16) for names, code in RULE.findall(sheet.read_text(encoding="utf-8"))
            for name in re.findall(r"\.(fa-[\w-]+):before", names)}


def test_every_icon_on_a_page_is_in_the_fonts(built_book):
    drawn = {code for font in built_book.glob("_static/vendor/fontawesome/*/webfonts/*.woff2")
             for code in TTFont(font).getBestCmap()}
    known = icons()
    shown = {name for page in built_book.rglob("*.html") for name in re.findall(r"fa-[\w-]+", page.read_text())
             if name in known}
    assert {"fa-rocket", "fa-download", "fa-magnifying-glass"} <= shown
    assert not {name for name in shown if known[name] not in drawn}
    assert len(drawn) < 150


def test_the_rules_that_pages_use_are_left(built_book):
    """A class that a page names, and that Bootstrap has a rule for without any other, still has one."""
    def rules(sheet: Path) -> set[str]:
        return set(re.findall(r"(?<=[{},])\.([a-z][\w-]+)(?=[{,])", sheet.read_text(encoding="utf-8")))

    before = rules(THEME / "styles/bootstrap.css")
    after = before & rules(built_book / "_static/book.css")
    used = {name for page in built_book.rglob("*.html")
            for names in re.findall(r'class="([^"]*)"', page.read_text()) for name in names.split()}
    assert len(used & before) > 10
    assert used & before <= after
    assert len(after) < len(before) / 2


def test_a_page_loads_what_all_have_in_common_as_two_files(built_book):
    """Whoever adds a style sheet or a script to every page finds it joined with the others, or this fails."""
    for page in built_book.glob("book/*.html"):
        text = page.read_text(encoding="utf-8")
        assert len(re.findall(r'href="../_static/book\.css\?v=\w+"', text)) == 1, page.name
        assert len(re.findall(r'src="../_static/book\.js\?v=\w+"', text)) == 1, page.name
        assert len(re.findall(r'rel="stylesheet"', text)) <= 4, page.name
        assert len(re.findall(r'<script[^>]* src="', text)) <= 6, page.name


def test_a_page_asks_early_for_the_parts_of_labs_that_it_needs_and_for_no_others(built_book):
    parts = {file.name for file in (built_book / "_static/live/modules").glob("*.js")}
    assert len(parts) > 12
    asked = {}
    for page in built_book.glob("book/*.html"):
        text = page.read_text(encoding="utf-8")
        asked[page.stem] = re.findall(r'<link rel="modulepreload" href="\.\./_static/live/modules/([^"]+)" />', text)
        assert set(asked[page.stem]) <= parts
        assert bool(asked[page.stem]) == ("vnd.jupyter.widget-view+json" in text), page.stem
    kinds = {stem: {name.partition("-")[0] for name in names if "-" in name} for stem, names in asked.items()}
    assert {"cells", "lists", "line"} <= kinds["index"]
    assert not kinds["index"] & {"map", "plot", "bytes", "shelves", "flow", "export", "link", "predict"}
    assert {"map", "bytes", "table"} <= kinds["pages"]


def test_what_an_earlier_build_left_of_labs_is_deleted(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "book/_ext")
    from kmm_live.modules import drop_old

    folder = tmp_path / "_static/live/modules"
    folder.mkdir(parents=True)
    (tmp_path / "page.html").write_text("modules/now.js", encoding="utf-8")
    texts = {"now.js": 'import("./part.js")', "part.js": "", "old.js": 'import("./gone.js")', "gone.js": ""}
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    drop_old(tmp_path)
    assert {file.name for file in folder.iterdir()} == {"now.js", "part.js"}

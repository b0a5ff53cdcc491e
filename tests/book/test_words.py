"""One language throughout: labs, exercises, the extensions, the page's scripts, Python in the page."""

import gettext
import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import sphinx

from kmm_sim import catalogue

ROOT = Path(__file__).parents[2]
EXTENSIONS = ROOT / "book/_ext"
SCRIPTS = sorted(path for path in EXTENSIONS.rglob("*.js") if path.name != "words.js")
STRING = re.compile(r'''//[^\n]*|/\*.*?\*/|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`''', re.DOTALL)
PROSE = re.compile(r"(?:^|>)[^<>={}]*?\b[A-Za-z]\w*,? [a-z]")
SAYS = re.compile(r"(textContent|title|ariaLabel|placeholder|alt)( =|:) $")
NO_TEXT = re.compile(r"(\b_|includes|querySelector\w*|addEventListener|matches|closest|runPython)\(\s*$"
                     r"|className( =|:) $")
FOR_PROGRAMMERS = re.compile(r"(console\.\w+|Promise\.reject)\(.*$")


class Shouting(gettext.NullTranslations):
    def gettext(self, message):
        return message.upper()


@pytest.fixture
def words(monkeypatch):
    """The extension, as Sphinx imports it."""
    monkeypatch.setattr(sys, "path", [str(EXTENSIONS), *sys.path])
    return importlib.import_module("kmm_words")


def node(script):
    from kmm_live.node import programs

    command = [*programs()[0], "--input-type=module", "-e", script]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout


def test_the_build_chooses_the_language_of_all_its_kernels(words, monkeypatch):
    monkeypatch.setenv("KMM_LANGUAGE", "en")
    words.setup(SimpleNamespace(config=SimpleNamespace(language="zh_TW"), connect=lambda *_: None))
    assert os.environ["KMM_LANGUAGE"] == "zh_TW"


def test_it_is_chosen_before_anything_speaks():
    """Extensions take their words when they are imported, in the order of _config.yml."""
    listed = re.findall(r"^ +- (kmm_\w+)", (ROOT / "_config.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert listed[0] == "kmm_words"
    assert len(listed) > 4


def test_a_page_in_english_has_no_word_of_it(words):
    assert words.script("en") == ""


def test_a_page_in_another_language_has_the_words_of_its_scripts(words, monkeypatch):
    monkeypatch.setattr(catalogue, "_spoken", Shouting())
    text = words.script("zh_TW")
    assert "<" not in text  # it stands in a page
    said = json.loads(text.removeprefix("self.kmmWords = ").removesuffix(";"))
    assert said["en"] == "zh-TW"
    assert said["Run"] == "RUN"  # of a cell
    assert said["Right."] == "RIGHT."  # of a quiz
    assert said["No network"] == "NO NETWORK"  # of the service worker
    assert len(said) > 50


def test_every_word_that_a_script_marks_is_found(words, monkeypatch):
    """Babel's reader of JavaScript is a simple one: it looks into no template, and may take a slash for another."""
    monkeypatch.setattr(catalogue, "_spoken", Shouting())
    marked = {text[1:-1] for path in SCRIPTS
              for text in re.findall(r"\b_\(\s*(\"[^\"]*\"|'[^']*')", path.read_text(encoding="utf-8"))}
    assert marked == words.translated().keys()


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_says_nothing_else(path):
    """Texts of several words are marked, and single ones that are put on the page; not those for programmers."""
    text = path.read_text(encoding="utf-8")
    said = []
    for found in STRING.finditer(text):
        before = text[max(0, found.start() - 200):found.start()]
        if found[0][0] == "/" or NO_TEXT.search(before) or FOR_PROGRAMMERS.search(before.rpartition("\n")[2]):
            continue
        words = re.sub(r"\$\{[^}]*\}", "", found[0][1:-1])
        if PROSE.search(words) or (SAYS.search(before) and re.search(r"[A-Za-z]{2}", words)):
            said.append(found[0])
    assert not said


@pytest.mark.parametrize(("known", "said"), [
    ("undefined", "1 of 7"), ('{"{a} of {b}": "{b}, davon {a}"}', "7, davon 1")])
def test_a_script_speaks_english_or_what_the_page_has(words, known, said):
    source = json.dumps((EXTENSIONS / "kmm_words/static/words/words.js").read_text(encoding="utf-8"))
    script = f"""globalThis.self = globalThis; self.kmmWords = {known};
        const {{ _ }} = await import("data:text/javascript," + encodeURIComponent({source}));
        console.log(_("{{a}} of {{b}}", {{ a: 1, b: 7 }}));"""
    assert node(script).strip() == said


def test_the_rule_for_plurals_needs_no_text_that_is_run(words, tmp_path):
    """The policy of the pages forbids it; and with it the theme's scripts would stop, which are in the same file."""
    from kmm_live.mend import mend_plurals

    home = Path(sphinx.__file__).parent
    script, catalog = tmp_path / "doctools.js", tmp_path / "translations.js"
    script.write_bytes((home / "themes/basic/static/doctools.js").read_bytes())
    catalog.write_bytes((home / "locale/de/LC_MESSAGES/sphinx.js").read_bytes())
    mend_plurals(script, catalog)
    assert "new Function" not in script.read_text(encoding="utf-8")
    assert '"plural_expr": (n) => (' in catalog.read_text(encoding="utf-8")


def test_python_in_the_page_speaks_the_language_of_the_book():
    """The page's start, with a stand-in for the kernel, in a process of its own: kmm_sim is imported by it."""
    start = """
import importlib.util, os, sys, types
os.environ["KMM_LANGUAGE"] = "en"
kernel = types.ModuleType("pyodide_kernel")
kernel.ipython_shell = types.SimpleNamespace(Completer=types.SimpleNamespace())
sys.modules["pyodide_kernel"] = kernel
spec = importlib.util.spec_from_file_location("kmm_boot", sys.argv[1])
boot = importlib.util.module_from_spec(spec)
spec.loader.exec_module(boot)
import gettext
gettext.translation = lambda domain, folder, languages, fallback: print(*languages)
boot.boot(["kmm_sim.labs"], language="zh_TW")
"""
    boot = EXTENSIONS / "kmm_live/web/worker/boot.py"
    done = subprocess.run([sys.executable, "-c", start, boot], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout.split()[:1] == ["zh_TW"], done.stderr

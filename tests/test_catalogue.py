"""Every sentence that an exercise or a lab says can be translated: it stands in ``_()`` or ``ngettext()``, whole."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from babel.messages import Catalog
from babel.messages.mofile import write_mo

import kmm_sim.exercises
import kmm_sim.labs
from kmm_sim import catalogue
from kmm_sim.labs.forms import Number, sentence

ROOT = Path(__file__).parents[1]
MODULES = [path for package in (kmm_sim.exercises, kmm_sim.labs)
           for path in sorted(Path(package.__file__).parent.glob("*.py"))]
SPEAKING = [*MODULES, Path(kmm_sim.__file__).with_name("observe") / "reckoning.py",
            *sorted((ROOT / "book/_ext").glob("kmm_*/*.py"))]
MARKS = {"_", "ngettext"}
KERNEL = re.compile(r"(Node \S+ zone|BUG:|WARNING:|Oops:|Mem-Info:|Call Trace:|CPU:)")


def is_mark(node):
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKS


def is_sentence(text):
    return len(text.split()) > 3 and text.strip()[:1].isupper() and "\n" not in text and not KERNEL.match(text)


def sentences_without_a_mark(node, marked=False):
    """Constants with three words and more that are neither marked, nor docstrings, nor errors for programmers.

    What the kernel says is nobody's to translate: text of several lines, and lines that begin as its lines do.
    """
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.Expr(ast.Constant(str())) | ast.Raise():
                continue
            case ast.Call(func=ast.Name(id=name)) if name in MARKS:
                yield from sentences_without_a_mark(child, marked=True)
            case ast.Constant(value=str(text)) if not marked and is_sentence(text):
                yield f"line {child.lineno}: {text}"
            case _:
                yield from sentences_without_a_mark(child, marked)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_sentences_are_marked(module):
    assert not list(sentences_without_a_mark(ast.parse(module.read_text(encoding="utf-8"))))


@pytest.mark.parametrize("module", SPEAKING, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_marked_text_is_a_constant(module):
    """gettext's tools read the source: a text that is put together there is no text to them, nor one in an f-string."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            assert not any(map(is_mark, ast.walk(node))), f"{module.name} line {node.lineno}"
        if is_mark(node):
            texts = node.args[:1] if node.func.id == "_" else node.args[:2]
            assert all(isinstance(text, ast.Constant) for text in texts), f"{module.name} line {node.lineno}"


@pytest.fixture(scope="session")
def unmarked():
    """Texts outside of the catalogue by lab, of whole labs in a language of brackets."""
    done = subprocess.run([sys.executable, "-m", "tests.labs.unmarked"], capture_output=True, text=True, check=True,
                          cwd=ROOT)
    return json.loads(done.stdout)


def test_a_whole_lab_says_nothing_but_what_is_in_the_catalogue(unmarked):
    """All its titles, labels, options, sentences, in all its frames; of what is left, each word is the kernel's."""
    assert len(unmarked) > 10
    assert not {lab: texts for lab, texts in unmarked.items() if texts}


def test_a_form_that_is_a_sentence_keeps_the_order_of_its_gaps():
    """A link has what is in them, in that order."""
    size, need = Number("size", "", 1, 1, 9), Number("need", "", 1, 1, 9)
    assert sentence("I need {size} bytes: {need}", size=size, need=need) == ("I need ", size, " bytes: ", need)
    for other in ("{need}: {size}", "{size}", "{size} {need} {more}"):
        with pytest.raises(ValueError, match="in this order"):
            sentence(other, size=size, need=need)


def test_the_exercises_need_nothing_visual():
    loaded = "import sys, kmm_sim.exercises; print(*{name.partition('.')[0] for name in sys.modules})"
    names = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "matplotlib", "ipywidgets", "anywidget", "IPython", "traitlets"} & set(names)


@pytest.fixture
def spoken(tmp_path):
    """Run code in a made-up language, in a file as msgfmt writes it, chosen before the import: what it prints."""
    folder = tmp_path / "xx/LC_MESSAGES"
    folder.mkdir(parents=True)
    catalog = Catalog(locale="en")
    for text, said in (("The caller gets NULL.", "<The caller gets NULL.>"), ("per CPU", "<je CPU>"),
                       ("Which of them need new pages for it?", "<three of them>")):
        catalog.add(text, said)
    with open(folder / "kmm_sim.mo", "wb") as file:
        write_mo(file, catalog)
    begin = "import sys, pathlib; from kmm_sim import catalogue; catalogue.use('xx', pathlib.Path(sys.argv[1])); "

    def run(code):
        command = [sys.executable, "-c", begin + code, tmp_path]
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout

    return run


def test_another_language_is_spoken_from_the_start(spoken):
    said = spoken("from kmm_sim.labs import three_slabs_lab; print(three_slabs_lab('a').frames); "
                  "print(catalogue._('The caller gets NULL.'))")
    assert "<three of them>" in said
    assert said.endswith("<The caller gets NULL.>\n")


def test_an_option_is_seen_in_that_language_and_sent_as_it_always_was(spoken):
    """So that a link is good in every language."""
    said = spoken("from kmm_sim.labs.choose import ChooseLab, choose_lab; "
                  "need = choose_lab('8 per CPU').scene['']['forms'][0]['parts'][-1]; "
                  "print(need['options'][0], need['words'][0], "
                  "ChooseLab().read({'do': 'choose', 'size': 8, 'need': ['per CPU']}).need)")
    assert said == "per CPU <je CPU> 8 bytes, <je CPU>\n"


def test_who_has_begun_in_a_language_cannot_change_it():
    with pytest.raises(RuntimeError, match="choose it before the import"):
        catalogue.use("xx")

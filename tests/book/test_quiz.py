"""A quiz that cannot be answered stops the build, and says why."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONF = f"""
import sys
sys.path.insert(0, {str(ROOT / "book/_ext")!r})
from kmm_exercises.quiz import check_quizzes
extensions = ["myst_parser", "sphinx_design"]
myst_enable_extensions = ["colon_fence"]
exclude_patterns = ["_out"]
def setup(app):
    app.connect("doctree-read", check_quizzes)
"""


def page(options: str, answer: str) -> str:
    return (f"# Page\n\n::::{{admonition}} A question\n:class: quiz\n\nWhat?\n\n{options}\n\n"
            f":::{{dropdown}} Answer\n{answer}\n:::\n::::\n")


PAGES = {
    "one": (page("1. a\n2. b", "**2.** Because.\n\n**1.** Not this."), ""),
    "several": (page("1. a\n2. b\n3. c", "**1, 3.** Both.\n\n**2.** Not this."), ""),
    "and": (page("1. a\n2. b\n3. c", "**1 and 3.** Both."), ""),
    "number": (page("", "**0x1000.** It is.\n\n**12.** It is not."), ""),
    "silent": (page("1. a\n2. b", "It is the second."), "does not say what is right"),
    "words": (page("1. a\n2. b", "**Certainly 2.** Yes."), "does not say what is right"),
    "beyond": (page("1. a\n2. b", "**3.** Yes."), "has 2 options, and an answer to another one"),
    "nothing": (page("1. a\n2. b", "**2.** Yes.\n\n**0.** No."), "has 2 options, and an answer to another one"),
    "all": (page("1. a\n2. b", "**1, 2.** Both."), "has nothing to choose"),
    "bullets": (page("- a\n- b", "**2.** Yes."), "one without numbers"),
    "open": ("# Page\n\n:::{admonition} A question\n:class: quiz\n\n1. a\n2. b\n:::\n", "has no folded answer"),
}


@pytest.fixture(scope="module")
def warnings(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("book")
    (folder / "conf.py").write_text(CONF)
    for name, (text, _words) in PAGES.items():
        (folder / f"{name}.md").write_text(f"---\norphan: true\n---\n{text}")
    (folder / "index.md").write_text("# Index\n")
    built = subprocess.run([sys.executable, "-m", "sphinx", "-q", "-b", "dummy", str(folder), str(folder / "_out")],
                           capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return built.stderr


@pytest.mark.parametrize("name", PAGES)
def test_each_fault_of_a_quiz_is_told(warnings, name):
    own = [line for line in warnings.splitlines() if f"/{name}.md:" in line]
    words = PAGES[name][1]
    assert len(own) == (1 if words else 0), own
    assert not words or words in own[0]

"""What the README and CONTRIBUTING tell a newcomer to do can be done."""

import doctest
import re
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
READ_FIRST = ("README.md", "CONTRIBUTING.md")


def test_the_session_in_the_readme_is_what_python_prints():
    shown = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    session = doctest.DocTestParser().get_doctest(textwrap.dedent(shown), {}, "README.md", "README.md", 0)
    assert len(session.examples) > 3
    assert not doctest.DocTestRunner().run(session).failed


def test_the_lab_in_contributing_is_one():
    section = (ROOT / "CONTRIBUTING.md").read_text().partition("## Add a lab")[2]
    space = {"__name__": "contributed"}
    exec(re.search(r"```python\n(.*?)```", section, re.DOTALL)[1], space)
    run = space["free_lab"](pages=16).run
    action = {"do": "take", "order": 3}
    run.make(run.lab.read(action), action=action)
    assert [event for event in run.frames[-1] if event == "alloc_pages(GFP_KERNEL, 3)"]
    assert run.frames[-1][1] == {"t:free": {"cells~": [1, 1, 4]}}


@pytest.mark.parametrize("name", READ_FIRST)
def test_every_make_command_exists(name):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", (ROOT / name).read_text(), re.MULTILINE))
    assert named
    assert named <= targets


@pytest.mark.parametrize("name", READ_FIRST)
def test_every_file_that_is_named_exists(name):
    text = (ROOT / name).read_text()
    links = set(re.findall(r"(?:\]\(|src=\")(?!https?:)([^)#\"]+)[)\"]", text))
    paths = set(re.findall(r"`((?:book|kmm_sim|tests|tools)/[\w./*-]*)`", text))
    assert links
    assert paths
    missing = [path for path in links | paths if not (any(ROOT.glob(path)) if "*" in path else (ROOT / path).exists())]
    assert not missing

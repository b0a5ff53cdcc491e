"""What holds for every lab there is: a name, links, a run that is the same again, a phrase for all it shows."""

import json
import re

import pytest

from kmm_sim import GFP_KERNEL, labs
from kmm_sim.errors import KernelError
from kmm_sim.labs.link import Link
from kmm_sim.labs.opening import gaps_of

LABS = [name for name in labs.__all__ if name.endswith("_lab")]
SHORT = {"workload_lab": {"seconds": 10}}  # minutes of traffic take seconds


def made(name, **options):
    return getattr(labs, name)(**SHORT.get(name, {}), **options)


def first_actions(run):
    """Each form as the reader finds it, where nothing need be picked first."""
    for form in run.start[""].get("forms", []):
        gaps = [part for part in form["parts"] if isinstance(part, dict)]
        if not any("pick" in gap for gap in gaps):
            yield {"do": form["does"], **{next(iter(gap.values())): default(gap) for gap in gaps}}


def anonymous(frames):
    """The frames without the names of Python functions, which a slab report takes for the callers."""
    return re.sub(r"(Allocated|Freed) in \w+", r"\1 in f", json.dumps(frames))


def default(gap):
    """The value of a gap that nobody touched; what is at its default does not travel."""
    return gap.get("value", [] if "flags" in gap else False)


def acted(lab):
    """A lab in which every form was used that can be, and what was done."""
    run, done = lab.run, []
    for action in first_actions(run):
        try:
            run.make(run.lab.read(action), action=action)
            done.append(action)
        except (KernelError, ValueError, TypeError):
            continue
    return run, done


@pytest.mark.parametrize("name", LABS)
def test_a_lab_is_called_what_its_function_is_called(name):
    assert made(name).about["name"] + "_lab" == name


@pytest.mark.parametrize("name", LABS)
def test_a_lab_is_one_short_line_where_it_cannot_be_drawn(name):
    lab = made(name)
    acted(lab)
    text = lab._repr_mimebundle_()[0]["text/plain"]
    assert text.startswith("<lab on ")
    assert "\n" not in text
    assert len(text) <= 100


@pytest.mark.parametrize("name", LABS)
def test_a_link_to_what_was_done_opens_the_same_run(name):
    lab = made(name)
    run, done = acted(lab)
    assert done, "no form can be used at once"
    text = Link(lab.opening.name, lab.opening.settings, done, kept=len(run.recorded)).write(gaps_of(run))
    again = made(name, link=text)
    assert "error" not in again.about
    assert anonymous(again.frames) == anonymous(run.frames)


@pytest.mark.parametrize("name", LABS)
def test_every_lab_has_a_question_of_its_own_about_what_one_does_in_it(name):
    run, _done = acted(made(name))
    asked = [frame[4] for frame in run.frames if len(frame) > 4]
    assert asked
    for _text, options, answer, *_ in asked:
        assert 2 <= len(options) <= 6
        assert 0 <= answer < len(options)


@pytest.mark.parametrize("name", LABS)
def test_what_a_cell_did_to_the_machine_is_told_in_a_sentence(name):
    run = made(name).run
    machines = getattr(run.machine, "machines", {"": run.machine})
    before = len(run.frames)
    for machine in machines.values():
        machine.alloc_pages(GFP_KERNEL, 0)
    run.catch_up()
    traced = [machine for machine in machines.values() if machine.tracing]
    assert bool(traced) == (len(run.frames) > before)
    for event, *_ in run.frames[before:]:
        while event[0] == "on":
            event = event[2]
        assert event[0] != "other" or re.fullmatch(r"\w.{10,}[.]", event[-1]), event


@pytest.mark.parametrize("name", LABS)
def test_a_broken_link_leaves_the_ordinary_lab(name):
    broken = made(name, link="1;nothing;alloc")
    assert broken.about["error"]
    assert broken.frames == made(name).frames


@pytest.mark.parametrize("name", LABS)
def test_every_setting_of_the_wrong_kind_or_size_is_refused_with_a_sentence(name):
    lab = made(name)
    before = json.dumps(lab.frames)
    for setting, value in lab.opening.settings.items():
        for wrong in (None, [], 2**60 if isinstance(value, str) else "x" * 50, -(2**52) if type(value) is int else 1.5):
            answers = []
            lab.send = lambda content, buffers=None, answers=answers: answers.append(content)
            lab._on_message(lab, {"id": 1, "action": {"do": "set", "settings": {setting: wrong}}}, [])
            assert answers[0].get("error") or setting == "seed", (setting, wrong)
    assert json.dumps(lab.frames) == before or "seed" in lab.opening.settings

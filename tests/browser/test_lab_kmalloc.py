"""The labs of kmalloc, of choosing and of traffic in a browser: their main paths, on a phone, in the dark."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from kmm_sim.labs import choose_lab, kmalloc_lab, workload_lab

AXE = Path(__file__).parents[2] / "_build/live/npm/node_modules/axe-core/axe.min.js"
FINDINGS = """() => axe.run(document.querySelector(".kmm-bench")).then(({ violations }) =>
  violations.map(({ id, nodes }) => `${id}: ${nodes.map((each) => each.html.slice(0, 160)).join(" | ")}`))"""
SCRIPT = "+100 +100 +90 -0 +120 +9000"
LABS = {"kmalloc": lambda: kmalloc_lab(SCRIPT), "choose": choose_lab, "workload": lambda: workload_lab(seconds=40)}
each_lab = pytest.mark.parametrize("name", LABS)


def press(lab, does):
    lab.find(f".kmm-call[data-does={does}] .kmm-do").click()


def sentence(lab):
    return lab.find(".kmm-sentence")


def row(lab, key):
    return lab.find(f"[data-key='{key}']").first


@each_lab
def test_before_python_the_recorded_run_is_stepped_there_and_back(open_lab, name):
    lab = open_lab(LABS[name](), live="recorded", answers=False)
    first, count = sentence(lab).inner_text(), lab.at[1]
    told = []
    for at in range(1, count + 1):
        lab.scrub(at)
        told.append(sentence(lab).inner_text())
    assert len(set(told)) > count // 2
    lab.scrub(0)
    expect(sentence(lab)).to_have_text(first)


def test_bytes_are_asked_for_and_given_back_by_mouse(open_lab):
    lab = open_lab(kmalloc_lab())
    lab.write(lab.find(".kmm-call[data-does=ask] input").first, 130)
    press(lab, "ask")
    expect(sentence(lab)).to_have_text(re.compile("an object of kmalloc-192, 192 bytes; 62 bytes are waste"))
    expect(row(lab, "t:a")).to_contain_text("62 (32 %)")
    press(lab, "give")
    expect(sentence(lab)).to_have_text(re.compile("goes to the head of its freelist"))
    expect(lab.find("[data-key='t:a']")).to_have_count(0)


def test_a_row_of_the_table_is_given_back_by_a_click(open_lab):
    lab = open_lab(kmalloc_lab("+100 +200"))
    lab.scrub(2)
    row(lab, "t:a").click()
    expect(sentence(lab)).to_have_text(re.compile("^a: the object goes"))


def test_a_wrong_kfree_is_said_in_the_lab_and_loses_nothing(open_lab):
    lab = open_lab(kmalloc_lab("+100"))
    lab.scrub(1)
    press(lab, "wrong")
    expect(lab.find(".kmm-bench")).to_contain_text("8 bytes inside object 0 of kmalloc-128")
    expect(lab.find(".kmm-bench")).to_contain_text("Linux 6.12 says nothing")
    press(lab, "ask")
    expect(sentence(lab)).to_have_text(re.compile("Its slab was there"))


def test_a_need_is_said_by_keyboard_and_decided(open_lab):
    lab = open_lab(choose_lab(""))
    form = lab.find(".kmm-call[data-does=choose]")
    lab.write(form.locator("input[type=number]"), 65536)
    form.get_by_label("device").focus()
    lab.page.keyboard.press("Space")
    form.locator(".kmm-do").focus()
    lab.page.keyboard.press("Enter")
    expect(sentence(lab)).to_have_text(re.compile("dma_alloc_coherent.*16 pages in a row"))
    expect(row(lab, "r:row")).to_contain_text("yes")


def test_time_goes_on_and_a_machine_begins_anew(open_lab):
    lab = open_lab(workload_lab(seconds=10))
    lab.scrub(1)
    press(lab, "pass")
    expect(sentence(lab)).to_have_text(re.compile("^At 40 s."))
    press(lab, "A")
    expect(sentence(lab)).to_have_text(re.compile("Both machines begin anew. A has load 50 %"))


@each_lab
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_at_the_start_and_at_the_end(open_lab, name, scheme):
    lab = open_lab(LABS[name](), color_scheme=scheme)
    lab.page.add_script_tag(path=AXE)
    for at in (0, lab.at[1]):
        lab.scrub(at)
        lab.page.wait_for_timeout(400)
        assert lab.page.evaluate(FINDINGS) == []


@each_lab
def test_on_a_phone_nothing_is_wider_than_the_screen(open_lab, name):
    lab = open_lab(LABS[name](), viewport={"width": 360, "height": 740}, has_touch=True)
    for at in (0, lab.at[1]):
        lab.scrub(at)
        assert lab.page.evaluate("document.documentElement.scrollWidth") <= 360

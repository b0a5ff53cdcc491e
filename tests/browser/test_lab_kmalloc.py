"""The labs of kmalloc, of choosing and of traffic in a browser: what they draw."""

import re

import pytest
from playwright.sync_api import expect

from kmm_sim.labs import choose_lab, kmalloc_lab, workload_lab

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

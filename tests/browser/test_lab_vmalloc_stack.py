"""The vmalloc lab and the stack lab in a browser: what they draw, by mouse and keyboard."""

import re

import pytest
from playwright.sync_api import expect

from kmm_sim.labs import stack_lab, vmalloc_lab

AREA = ".kmm-box[data-key='v:ffffc90000000000']"
VMALLOC = "alloc:2 +4 touch:A0 all:A direct:A +1 touch:A4 -A"
STACK = "528x14 528 schedule 528x15 528"
LABS = {"vmalloc": lambda: vmalloc_lab(VMALLOC), "stack": lambda: stack_lab(STACK)}
each_lab = pytest.mark.parametrize("name", LABS)


def press(lab, does):
    lab.find(f".kmm-call[data-does={does}] .kmm-do").click()


def sentence(lab):
    return lab.find(".kmm-sentence")


def look(lab):
    return lab.page.evaluate("""() => {
      const stage = document.querySelector(".kmm-stage").cloneNode(true);
      for (const each of stage.querySelectorAll("mark")) each.replaceWith(...each.childNodes);
      for (const each of stage.querySelectorAll("[class]")) each.classList.remove("kmm-come", "kmm-fresh", "kmm-still");
      for (const each of stage.querySelectorAll("[tabindex]")) each.removeAttribute("tabindex");
      stage.normalize();
      return stage.innerHTML;
    }""")


@each_lab
def test_every_moment_looks_the_same_from_either_side(open_lab, name):
    lab = open_lab(LABS[name](), live="recorded", answers=False)
    count = lab.at[1]
    going = []
    for at in range(count + 1):
        lab.scrub(at)
        going.append(look(lab))
    for at in reversed(range(count + 1)):
        lab.scrub(at)
        assert look(lab) == going[at], at


def test_an_area_is_allocated_touched_and_freed_by_mouse(open_lab):
    lab = open_lab(vmalloc_lab())
    press(lab, "vmalloc")
    lab.settle()
    expect(lab.find(f"{AREA} .kmm-slot")).to_have_text(["A", "A", "A", "G"])
    lab.find(f"{AREA} .kmm-slot").nth(1).click()
    expect(sentence(lab)).to_have_text(re.compile("not in the TLB. 4 table entries are read; the answer is pfn 61"))
    lab.find(f"{AREA} .kmm-slot").nth(3).click()
    expect(sentence(lab)).to_have_text(re.compile("that is the guard page"))
    expect(lab.find(".kmm-line").last).to_contain_text("BUG: unable to handle page fault")
    press(lab, "vfree")
    lab.settle()
    expect(lab.find(f"{AREA} .kmm-slot")).to_have_text(["w"] * 4)
    press(lab, "purge")
    lab.settle()
    expect(lab.find(AREA)).to_have_count(0)


def test_one_piece_fails_where_pieces_do(open_lab):
    lab = open_lab(vmalloc_lab())
    press(lab, "alloc")
    expect(sentence(lab)).to_have_text(re.compile("the caller gets NULL"))
    press(lab, "vmalloc")
    lab.settle()
    expect(lab.find(AREA)).to_have_count(1)


def test_a_stack_is_filled_until_its_guard_page_by_keyboard(open_lab):
    lab = open_lab(stack_lab())
    form = lab.find(".kmm-call[data-does=call]")
    lab.write(form.locator("input").first, 1024)
    lab.write(form.locator("input").nth(1), 8)
    form.locator(".kmm-do").focus()
    lab.page.keyboard.press("Enter")
    expect(sentence(lab)).to_have_text(re.compile("2.6.34 has overwritten the magic number"))
    lab.page.keyboard.press("Enter")
    expect(sentence(lab)).to_have_text(re.compile("stops: stack overflow of task"))
    expect(lab.find(".kmm-line").last).to_contain_text("stack guard page was hit")


def test_what_cannot_be_done_is_said_in_the_lab_and_loses_nothing(open_lab):
    lab = open_lab(stack_lab("100"))
    lab.scrub(1)
    press(lab, "return")
    expect(sentence(lab)).to_have_text(re.compile("has returned"))
    press(lab, "return")
    expect(lab.find(".kmm-bench")).to_contain_text("Not done: there is no call to return from")
    press(lab, "call")
    expect(sentence(lab)).to_have_text(re.compile("Both have room"))

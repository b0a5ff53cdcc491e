"""The labs on pages, zones and the cost of mem_map in a browser, with the real Python behind them."""

from playwright.sync_api import expect

from kmm_sim import GFP_KERNEL, Machine
from kmm_sim.labs import mem_map_lab, pages_lab, zones_lab
from kmm_sim.labs.pages import MASKS, Allocate, OnPage, Write


def press(lab, does):
    """Press the button of a call, and wait for its answer."""
    frames = lab.page.locator(".kmm-count").inner_text()
    lab.find(f".kmm-call[data-does={does}] .kmm-do").click()
    lab.page.wait_for_function("before => document.querySelector('.kmm-count').textContent !== before", arg=frames)
    lab.settle()


def cell(lab, row, column=1):
    """The text of a cell of the struct page."""
    return lab.find("[data-key='t:" + row + "'] td").nth(column)


def test_a_page_is_taken_shared_and_given_back_by_mouse(open_lab):
    lab = open_lab(pages_lab())
    press(lab, "alloc")
    expect(cell(lab, "refcount")).to_have_text("1")
    press(lab, "get")
    expect(cell(lab, "refcount")).to_have_text("2")
    press(lab, "put")
    press(lab, "put")
    expect(cell(lab, "refcount")).to_have_text("0")
    expect(lab.find(".kmm-sentence")).to_contain_text("the page is free")


def test_the_map_goes_to_the_page_that_is_looked_at(open_lab):
    lab = open_lab(pages_lab(calls=[Allocate(int(GFP_KERNEL), 0), OnPage("get")]))
    picked = lab.find(".kmm-call[data-does=look] select")
    expect(picked).to_have_value("M:1")
    lab.find(".kmm-to_end").click()
    expect(picked).to_have_value("M:1056")
    lab.find(".kmm-map-frame").focus()
    lab.page.keyboard.press("Home")  # the reader may look elsewhere, and stays there
    press(lab, "put")
    expect(picked).to_have_value("M:1")


def test_what_is_written_stays_when_the_page_is_freed(open_lab):
    lab = open_lab(pages_lab(calls=[Allocate(int(GFP_KERNEL), 0), Write("password"), OnPage("put")]))
    lab.find(".kmm-to_end").click()
    lab.settle()
    expect(lab.find(".kmm-stage").last).to_contain_text("70 61 73 73 77 6f 72 64")
    press(lab, "alloc")
    expect(lab.find(".kmm-stage").last).to_contain_text("70 61 73 73 77 6f 72 64")


def test_a_wrong_call_says_why_and_leaves_the_lab_usable(open_lab):
    lab = open_lab(pages_lab(Machine(memory="16 MiB")))
    lab.find(".kmm-call[data-does=put] .kmm-do").click()
    expect(lab.find(".kmm-bench")).to_contain_text("nobody has a reference")
    press(lab, "alloc")
    expect(cell(lab, "refcount")).to_have_text("1")


def test_a_page_is_found_on_the_map_by_keyboard(open_lab):
    lab = open_lab(pages_lab())
    lab.find(".kmm-map-frame").focus()
    for key in ("Home", "+", "+", "+", "+", "ArrowRight", "ArrowRight", "Enter"):
        lab.page.keyboard.press(key)
    expect(lab.find(".kmm-sentence")).to_contain_text("This is page 0x3, in zone DMA")


def test_high_memory_gets_an_address_from_kmap(open_lab):
    lab = open_lab(pages_lab(Machine.preset("lkd-32bit"), [Allocate(MASKS["GFP_HIGHUSER_MOVABLE"], 0)]))
    lab.find(".kmm-to_end").click()
    expect(cell(lab, "address")).to_have_text("NULL")
    lab.find(".kmm-call[data-does=write] .kmm-do").click()
    expect(lab.find(".kmm-bench")).to_contain_text("nothing is mapped there")
    press(lab, "kmap")
    expect(cell(lab, "address")).to_have_text("0xff801000")
    press(lab, "write")


def test_the_zones_show_who_gives(open_lab):
    lab = open_lab(zones_lab())
    form = lab.find(".kmm-call[data-does=take]")
    form.locator("select").first.select_option("10000")
    press(lab, "take")
    expect(lab.find(".kmm-sentence")).to_contain_text("10,000 from Normal")
    press(lab, "free")
    expect(lab.find(".kmm-sentence")).to_contain_text("10,000 blocks are given back")


def test_the_cost_is_worked_out(open_lab):
    lab = open_lab(mem_map_lab())
    form = lab.find(".kmm-call[data-does=work]")
    for number, choice in enumerate(("16 GiB", "4 KiB", "64")):
        form.locator("select").nth(number).select_option(choice)
    press(lab, "work")
    expect(lab.find(".kmm-stage")).to_contain_text("256 MiB")
    expect(lab.find(".kmm-stage")).to_contain_text("1.56 %")

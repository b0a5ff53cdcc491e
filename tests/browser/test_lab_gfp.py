"""The GFP lab and the buddy lab in detail, in a browser: by mouse, by keyboard, without Python."""

import re

from playwright.sync_api import expect

from kmm_sim import GFP_KERNEL, Gfp
from kmm_sim.labs import buddy_lab, gfp_lab
from kmm_sim.small import small_machine
from kmm_sim.workload import Alloc

RECORDED = [("GFP_KERNEL", 0), ("GFP_KERNEL", 0, "hardirq")]


def step_on(lab, times):
    for _ in range(times):
        lab.page.get_by_role("button", name="One event on").click()


def test_before_python_the_recorded_request_is_walked_stage_by_stage(open_lab):
    lab = open_lab(gfp_lab("clean cache", RECORDED), live="recorded", answers=False)
    expect(lab.page.get_by_text("mode:0xcc0(GFP_KERNEL)")).to_be_visible()
    step_on(lab, 1)
    expect(lab.find(".kmm-sentence")).to_have_text("No zone stays above its low mark.")
    step_on(lab, 3)
    expect(lab.find(".kmm-sentence")).to_have_text("The caller reclaimed 32 pages itself.")
    lab.page.get_by_role("slider", name="Event").press("End")
    expect(lab.find(".kmm-sentence")).to_have_text(re.compile("^Sleeping function called from invalid context"))
    assert "hardware interrupt" in lab.find(".kmm-now").inner_text()


def test_a_request_with_flags_of_ones_own_is_served(open_lab):
    lab = open_lab(gfp_lab("no swap"), live="yes")
    form = lab.find(".kmm-call[data-does=ask]")
    form.get_by_label("__GFP_RETRY_MAYFAIL").check()
    form.get_by_role("button", name="Ask").click()
    expect(lab.find(".kmm-sentence")).to_have_text(re.compile("^The answer: NULL: .* nobody is killed"))
    expect(lab.page.get_by_text("page allocation failure: order:0").first).to_be_visible()
    form.get_by_label("__GFP_RETRY_MAYFAIL").uncheck()
    form.get_by_role("button", name="Ask").click()
    expect(lab.find(".kmm-sentence")).to_have_text(re.compile("The caller gets pfn"))
    expect(lab.page.get_by_text("firefox is killed").first).to_be_visible()


def test_memory_can_be_set_up_anew_by_keyboard(open_lab):
    lab = open_lab(gfp_lab("plenty"), live="yes")
    form = lab.find(".kmm-call[data-does=memory]")
    form.locator("select").select_option("clean cache")
    form.get_by_role("button", name="Set up").focus()
    lab.page.keyboard.press("Enter")
    expect(lab.find(".kmm-sentence")).to_have_text("Memory is set up anew; kswapd sleeps.")
    ask = lab.find(".kmm-call[data-does=ask]")
    ask.get_by_role("button", name="Ask").focus()
    lab.page.keyboard.press("Enter")
    expect(lab.find(".kmm-sentence")).to_have_text(re.compile("The caller gets pfn"))
    lab.find(".kmm-call[data-does=kswapd]").get_by_role("button").click()
    expect(lab.find(".kmm-sentence")).to_have_text(re.compile(r"kswapd reclaimed \d+ pages"))


def test_evens_then_odds_and_why_two_in_a_row_are_not_to_be_had(open_lab):
    lab = open_lab(buddy_lab(pages=16, detail=True), live="yes")
    script = lab.find(".kmm-call[data-does=script]")

    def do(name):
        script.locator("select").select_option(name)
        script.get_by_role("button", name="Do it").click()

    do("take every page")
    lab.wait_for_blocks(16, "used")
    do("free the even ones")
    lab.wait_for_blocks(8, "used")
    lab.allocate(1)
    expect(lab.page.get_by_text("GFP_KERNEL, order 1: the last attempt")).to_be_visible()
    expect(lab.page.get_by_text("but no block is large enough")).to_be_visible()
    do("free the odd ones")
    lab.wait_for_blocks(1, "free")
    expect(lab.page.get_by_text("No request has just failed.")).to_be_visible()


def test_the_zones_stand_with_their_marks(open_lab):
    machine = small_machine(DMA=32, DMA32=32, Normal=64, min_free_pages=16, reserve_ratio=(8, 8, 8, 0), grouped=False)
    requests = [*(Alloc(order) for order in (4, 4, 4, 3, 3, 2, 4)), Alloc(3, GFP_KERNEL | Gfp.NORETRY)]
    lab = open_lab(buddy_lab(machine, requests, detail=True), live="recorded", answers=False)
    lab.page.get_by_role("slider", name="Event").press("End")
    expect(lab.page.get_by_text("GFP_KERNEL|__GFP_NORETRY, order 3: the last attempt")).to_be_visible()
    for words in ("counts as free: 5; must remain: 8", "counts as free: 9; must remain: 12", "must remain: 16"):
        expect(lab.page.get_by_text(words)).to_be_visible()

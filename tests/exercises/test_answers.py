"""What single exercises take for right, and what they say to what a reader may well write."""

import itertools

import pytest

from kmm_sim import GFP_ATOMIC, KernelBug, Machine
from kmm_sim.exercises import (
    buddy_system,
    gfp_flags,
    kmalloc,
    memory_in_the_kernel,
    on_your_own_machine,
    pages,
    slab_layer,
    slab_slub_slob,
    the_stack,
    vmalloc,
    zones,
)
from kmm_sim.mm.mmzone import ZoneType
from kmm_sim.mm.slab_common import SlabFlags
from kmm_sim.mm.stack_events import StackOver

REACHES = {"the magic number": "magic", "thread_info": "thread_info", "the guard page": "guard page"}


def reached(kernel, frames):
    """Return what the simulator itself says that the last of some calls goes over."""
    machine = Machine(pages=64, teaching=False)
    machine.new_task("below", kernel)
    task = machine.new_task("task", kernel)
    try:
        for size in frames:
            machine.stack_call(task, "f", size)
    except KernelBug:
        pass
    over = [event.what for event in machine.trace if isinstance(event, StackOver)]
    return REACHES.get(over[-1], "neighbour") if over else "fits"


@pytest.mark.parametrize(("seed", "level"), list(itertools.product(range(40), (1, 2))))
def test_what_an_overflow_reaches_is_what_the_simulator_says_it_went_over(seed, level):
    question = the_stack.overflow(seed=seed, level=level)
    kernel = "6.12" if "Linux 6.12" in question.task else "2.6.34"
    frames = [int(line.split()[-2]) for line in question.given.splitlines()]
    assert question.right_answers[0]["reaches"] == reached(kernel, frames)


REST = {19: "sleeps", 33: "bare zone"}


@pytest.mark.parametrize("two", [("size", "sleeps"), ["sleeps", "size"], {"size", "sleeps"}, "size, sleeps"])
def test_two_mistakes_in_one_line_can_be_written_together(two):
    assert gfp_flags.isr.check({6: two, **REST}).right


@pytest.mark.parametrize("last", ["size", "sleeps"])
def test_who_writes_a_line_twice_hears_that_one_of_the_two_has_not_arrived(last):
    result = gfp_flags.isr.check({6: last, **REST})
    assert f'For line 6 only `{last}` has arrived' in result.why
    assert f'`6: ("{last}", ...)`' in result.why
    assert "has arrived" not in gfp_flags.isr.check({6: ("size", "sleeps"), 33: "bare zone"}).why


@pytest.mark.parametrize(("level", "answers"), [(1, 4), (2, 8)])
def test_which_zone_gives_is_another_answer_for_other_seeds(level, answers):
    questions = [zones.which_zone(seed=seed, level=level) for seed in range(80)]
    seen = {tuple(question.right_answers[0].values()) for question in questions}
    assert len(seen) >= answers
    assert len({mistake.name for question in questions for mistake in question.misconceptions}) == 5, "each has its use"
    assert min(len(question.misconceptions) for question in questions) >= 3


INFO = vmalloc.info(seed=3)
WAYS = (
    (pages.bad_page, "zone", (2, "ZONE_NORMAL", "normal", ZoneType.NORMAL)),
    (memory_in_the_kernel.report, "mask", (GFP_ATOMIC, 0x820, "GFP_NOWAIT")),
    (kmalloc.overflow, "array", (None, 0, "NULL")),
    (slab_slub_slob.slob_lists, "kmalloc4096", ("page allocator", "the page allocator", "pages")),
    (slab_layer.which_flags, "task", (("SLAB_PANIC", "boot"), (SlabFlags.PANIC, "boot"))),
    (slab_layer.which_flags, "list", ((None, "nothing"), (0, "nothing"))),
    (gfp_flags.decode, "0xdc0", ("__GFP_ZERO | GFP_KERNEL", "GFP_KERNEL|__GFP_ZERO")),
    (zones.first_zone, "kernel", ("ZONE_NORMAL", ZoneType.NORMAL)),
    (zones.first_zone, "user", ("ZONE_HIGHMEM",)),
    (INFO, "device", (hex(INFO.right_answers[0]["device"]),)),
)


@pytest.mark.parametrize(("exercise", "key", "ways"), WAYS, ids=lambda each: getattr(each, "name", None))
def test_an_answer_may_be_written_in_each_of_the_usual_ways(exercise, key, ways):
    for way in ways:
        assert exercise.check({**exercise.right_answers[0], key: way}).right, way
    other = next(value for value in exercise.right_answers[0].values() if value != exercise.right_answers[0][key])
    assert not exercise.check({**exercise.right_answers[0], key: other}).right


def test_where_order_does_not_matter_a_set_will_do():
    assert buddy_system.spoil.check({0, 8, 16, 24, 32, 40, 48, 56}).right
    assert buddy_system.spoil.check(set(range(64))).misconception == "every other page"
    assert "There is no page 64" in buddy_system.spoil.check(set(range(70))).why


def test_an_answer_of_a_wrong_form_does_not_hide_what_is_wrong_with_another():
    right = pages.bad_page.right_answers[0]
    alone = pages.bad_page.check({**right, "zone": "the third"})
    assert alone.why.startswith("The answer to zone should be one of")
    both = pages.bad_page.check({**right, "zone": "the third", "offset": 4})
    assert both.why.startswith(alone.why)
    assert "You counted words." in both.why
    assert both.given.startswith("offset")


def test_a_number_that_is_a_key_may_be_written_as_text():
    right = kmalloc.waste.right_answers[0]
    assert kmalloc.waste.check({str(size): waste for size, waste in right.items()}).right


def test_a_key_that_is_text_of_a_number_may_be_written_as_the_number():
    masks = {int(mask, 16): names for mask, names in gfp_flags.decode.right_answers[0].items()}
    assert gfp_flags.decode.check(masks).right
    lists = buddy_system.then_and_now.right_answers[0]
    assert buddy_system.then_and_now.check({6.12 if key == "6.12" else key: each for key, each in lists.items()}).right


@pytest.mark.parametrize(("percent", "arm"), [(1.56, 0.0977), (1.563, 0.098), (1.5625, 0.09765625)])
def test_three_digits_of_a_percentage_are_enough(percent, arm):
    assert pages.overhead.check({**pages.overhead.right_answers[0], "percent": percent, "arm": arm}).right


def test_a_percentage_that_is_rounded_too_far_is_told_so():
    for wrong in ({"percent": 1.6}, {"arm": 0.1}):
        assert pages.overhead.check({**pages.overhead.right_answers[0], **wrong}).misconception == "rounded too far"


def of_no_use(nr_free, order):
    pages = [count << size for size, count in enumerate(nr_free)]
    return sum(pages[:order]) / sum(pages) if any(pages) else 1


def test_a_share_in_floats_is_told_why_it_is_not_exact_and_one_in_thousandths_that_it_is():
    check = on_your_own_machine.unusable.check
    assert check(lambda nr_free, order: int(of_no_use(nr_free, order) * 100)).misconception == "floats"
    assert check(lambda nr_free, order: int(of_no_use(nr_free, order) * 1000)).misconception == "thousandths"

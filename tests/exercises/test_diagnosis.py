"""A known mistake is named only where it is one: it contradicts nothing that the reader got right."""

import re

import pytest

from kmm_sim.exercises import (
    buddy_system,
    choosing_an_allocator,
    getting_pages,
    gfp_flags,
    high_memory_and_per_cpu,
    kmalloc,
    pages,
    slab_layer,
    slab_slub_slob,
    the_stack,
    vmalloc,
    zones,
)
from kmm_sim.mm.page import PAGE_OFFSET, VMEMMAP_START


@pytest.mark.parametrize("seed", range(6))
def test_who_rounds_to_the_nearest_call_is_not_told_of_return_addresses(seed):
    result = the_stack.depth.check(lambda frame, size: round((size - 264) / (frame + 8)), seed=seed)
    assert (result.misconception, result.why) == ("", "")


@pytest.mark.parametrize("answer", [
    lambda sp: (sp - 1) & ~8191,
    lambda sp: int(sp / 8192) * 8192,
    lambda sp: 0 if sp % 8192 == 0 else sp & ~8191,
])
def test_a_stack_found_for_most_pointers_is_not_one_of_another_size(answer):
    assert the_stack.thread_info.check(answer).misconception == ""


def test_one_wrong_order_is_not_all_orders():
    for answer in ({1: 0, 4096: 0, 4097: 1, 12288: 3, 20000: 3}, lambda size: len(bin((size - 1) // 4096)) - 2):
        result = getting_pages.get_order.check(answer)
        assert (result.outcome, result.misconception) == ("wrong", "")


def test_a_mistake_beside_another_says_how_far_it_goes():
    def rounds_down_and_errs_at_20000(size):
        return 7 if size == 20000 else max(0, (size // 4096).bit_length() - 1)

    result = getting_pages.get_order.check(rounds_down_and_errs_at_20000)
    assert result.misconception == "rounds down"
    assert "results that are not right.)" in result.why


@pytest.mark.parametrize("answer", [
    lambda addr: VMEMMAP_START + (addr - PAGE_OFFSET) / 4096 * 64,
    lambda addr: int(VMEMMAP_START + (addr - PAGE_OFFSET) / 4096 * 64),
    lambda addr: VMEMMAP_START + int(addr / 4096 - PAGE_OFFSET / 4096) * 64,
])
def test_an_address_that_was_a_float_is_told_so(answer):
    result = pages.page_of.check(answer)
    assert result.misconception == ""
    assert "`//` divides whole numbers" in result.why


@pytest.mark.parametrize("always", [True, False])
def test_who_always_says_the_same_is_told_so_and_of_no_mistake(always):
    result = zones.passes.check(lambda free, order, mark, reserve, high, atomic: always)
    assert (result.misconception, result.why.partition(" of ")[0]) == ("", f"Your answer is {always} in each")


def test_true_and_false_agree_too_often_by_chance_for_a_mistake_that_explains_a_part():
    result = zones.passes.check(lambda free, order, mark, reserve, high, atomic: free > order)
    assert (result.outcome, result.misconception) == ("wrong", "")
    result = zones.passes.check(lambda free, order, mark, reserve, high, atomic: high or free > mark + reserve)
    assert (result.outcome, result.misconception) == ("wrong", "")


@pytest.mark.parametrize("answer", [
    lambda addr: VMEMMAP_START + 56 * int((addr - PAGE_OFFSET) / 4096),
    lambda addr: VMEMMAP_START + 64 * round((addr - PAGE_OFFSET) / 4096),
    lambda addr: VMEMMAP_START + 64 * int((addr - PAGE_OFFSET) / 4096) + 8,
])
def test_a_division_that_is_exact_is_not_the_matter(answer):
    assert pages.page_of.check(answer).why == ""


def test_a_float_where_a_known_mistake_explains_everything_is_not_the_matter():
    result = pages.page_of.check(lambda addr: VMEMMAP_START + int((addr - PAGE_OFFSET) / 4096))
    assert result.misconception == "forgets the size"


BELIEFS = [question(seed=seed, level=level) for question in (
    pages.references, zones.which_zone, kmalloc.same_object, slab_layer.last_freed, slab_slub_slob.aside,
    choosing_an_allocator.pool) for seed in range(1, 9) for level in range(1, question.levels + 1)]


def test_a_belief_that_a_right_answer_contradicts_is_not_named():
    for question in BELIEFS:
        right = question.right_answers[0]
        for mistake in question.misconceptions:
            astray = {key: answer for key, answer in mistake.answer.items() if answer != right[key]}
            for key, answer in astray.items():
                result = question.check(right | {key: answer})
                assert len(astray) == 1 or result.misconception != mistake.name, (question.title, mistake.name)


def test_a_belief_that_explains_one_of_several_wrong_answers_is_not_named():
    question = pages.references(seed=3)
    right, zero = question.right_answers[0], question.misconceptions[0].answer
    result = question.check({key: answer + 5 for key, answer in right.items()} | {"a": zero["a"]})
    assert (result.misconception, result.why[:25]) == ("", "This answer is not right.")
    assert question.check(zero | {"freed": 9}).misconception == "begins at zero"


def test_a_mistake_in_one_of_several_sums_is_named():
    right = pages.overhead.right_answers[0]
    assert pages.overhead.check(right | {"percent": 1.6}).misconception == "rounded too far"


def with_one(exercise, key, answer):
    return exercise.check(exercise.right_answers[0] | {key: answer})


def test_a_choice_without_a_caller_is_not_told_of_one():
    for exercise, key, answer in ((buddy_system.whose_list, "urgent", "U"), (gfp_flags.decode, "0xcc0", "GFP_USER")):
        assert "another choice is right here" in with_one(exercise, key, answer).why


def test_a_right_choice_for_a_wrong_reason_is_told_which_of_them_is_wrong():
    where = the_stack.elsewhere
    assert "The choice is right" in with_one(where, "counter", ("stack", "no bound")).why
    assert "another choice is right here" in with_one(where, "counter", ("loop", "small and short")).why


def test_a_call_that_works_but_does_more_than_is_needed_is_told_so():
    assert "more than you need" in with_one(high_memory_and_per_cpu.mapping, "own", "kmap_local_page").why


@pytest.mark.parametrize(("pages", "mistake", "free"), [
    ([], "a block is left", "pages 0 to 7"), ([7, 8], "a block is left", "pages 16 to 23"),
    ([1], "a block is left", "pages 8 to 15"), ([0, 1], "all in one place", "pages 8 to 15"),
])
def test_a_design_that_does_not_do_what_was_asked_has_no_score(pages, mistake, free):
    result = buddy_system.spoil.check(pages)
    assert (result.misconception, result.got, result.score) == (mistake, f"{free} are free", None)


def test_pages_that_leave_pairs_free_do_not_spoil_them():
    result = buddy_system.spoil.check([*range(32), 32, 40, 48, 56])
    assert (result.misconception, result.got) == ("more than one in eight", "36 pages held")


@pytest.mark.parametrize(("pieces", "words"), [
    ([1036, 64], "Your piece of 1036 bytes gets 2048: it alone wastes 1012."),
    ([128, 972], "Your piece of 972 bytes gets 1024: it alone wastes 52."),
])
def test_a_record_badly_cut_is_told_of_the_piece_that_wastes_most(pieces, words):
    result = kmalloc.split_record.check(pieces)
    assert (result.misconception, result.why.partition(" In one")[0]) == ("", words)


@pytest.mark.parametrize("answer", [None, {6}, 6], ids=repr)
def test_what_is_no_table_of_lines_is_told_of_dicts_too(answer):
    assert f"a dict of lines and what is wrong there, or a list of such pairs, not {answer}." in \
        gfp_flags.isr.check(answer).why


@pytest.mark.parametrize("exercise", [pages.page_of, the_stack.thread_info, slab_slub_slob.encode,
                                      high_memory_and_per_cpu.address, vmalloc.lowest_hole, vmalloc.walk],
                         ids=lambda each: each.name)
def test_addresses_are_shown_in_hexadecimal(exercise):
    for mistake in exercise.misconceptions:
        result = exercise.check(mistake.answer)
        shown = result.given.partition(", size")[0] + ("" if exercise is vmalloc.walk else result.expected + result.got)
        assert not re.search(r"\b[1-9]\d{3,}\b", shown), shown


def test_an_address_handed_in_is_shown_in_hexadecimal():
    right = pages.three_numbers.right_answers[0]
    assert pages.three_numbers.check(right | {"physical": 0x12345}).got == "0x12345"


def test_that_a_hole_must_be_larger_passes_under_no_seed():
    answer = next(each.answer for each in vmalloc.lowest_hole.misconceptions if each.name == "must be larger")
    assert vmalloc.lowest_hole.check(answer, seed=21).misconception == "must be larger"


@pytest.mark.parametrize(("answer", "entry"), [
    ([6, "size", 19, "sleeps"], "6"), (["size"], "'size'"), ([(6, "size", 19)], "(6, 'size', 19)"),
])
def test_what_is_no_pair_of_line_and_bug_is_told_of_pairs_and_of_dicts(answer, entry):
    assert gfp_flags.isr.check(answer).why == (f"Each entry of your answer should be a pair, a line and what is wrong "
                                               f"there, not {entry}. A dict of lines will do as well.")

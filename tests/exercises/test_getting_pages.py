"""The exercises of "Getting pages": what is particular to each."""

import math
import random
import re

import pytest

from kmm_sim.exercises import getting_pages as ex
from kmm_sim.exercises.free_list_beliefs import Belief, Call
from kmm_sim.exercises.predict import free_lists, run
from kmm_sim.mm.events import MmPageAlloc
from kmm_sim.observe import validate


def by_logarithm(size):
    return max(0, math.ceil(math.log2(size / 4096)))


def rounded_down_below_zero(size):
    return math.floor(math.log2(size / 4096))


def test_other_right_answers():
    assert ex.get_order.check(by_logarithm).right
    assert ex.get_order.check((0.0, 0, 1, 2, 3)).right
    assert ex.get_order.check({20000: 3, 12288: 2, 4097: 1, 4096: 0, 1: 0, 77: 0}).right
    assert ex.buddy_of.check(lambda pfn, order: (pfn - 2**order if pfn // 2**order % 2 else pfn + 2**order,
                                                 pfn // 2 ** (order + 1) * 2 ** (order + 1))).right


def test_a_mistake_is_recognised_though_it_is_made_in_another_way():
    assert ex.get_order.check(rounded_down_below_zero).misconception == "rounds down"
    assert ex.get_order.check(lambda size: math.ceil(math.log2(size))).misconception == "logarithm of bytes"
    assert ex.get_order.check([1, 1, 2, 3, 5]).misconception == "pages as order"
    next_block = ex.buddy_of.check(lambda pfn, order: (pfn + (1 << order), min(pfn, pfn + (1 << order))))
    assert next_block.misconception == "always the next block"


def test_a_mistake_of_ones_own_has_no_name_but_its_smallest_case():
    result = ex.get_order.check(lambda size: 5 if size == 12288 else by_logarithm(size))
    assert (result.misconception, result.given, result.expected, result.got) == ("", "size = 12288", "2", "5")


def test_a_size_left_out_is_asked_for():
    assert "There is no answer for 20000" in repr(ex.get_order.check({1: 0, 4096: 0, 4097: 1, 12288: 2}))


def test_a_wrong_buddy_can_be_tried_on_a_bench():
    result = ex.buddy_of.check(lambda pfn, order: (pfn + (1 << order), pfn))
    assert result.given == "pfn = 1, order = 0"
    machine = result.machine
    assert free_lists(machine)[0] == (0,)
    machine.free_page(machine.virt_to_page(machine.page_address(machine.node.pfn_to_page(1))))
    validate(machine)
    assert 0 not in free_lists(machine), "page 1 merged with its buddy, page 0"


def traffic(rng, length):
    """Any allocations and frees, also those that fill the bench."""
    held, calls = [], []
    for number in range(length):
        if held and rng.random() < 0.5:
            block = held.pop(rng.randrange(len(held)))
            calls.append(Call(block.block, block.order, frees=True))
        else:
            held.append(Call(f"b{number}", rng.choice((0, 0, 0, 1, 1, 2))))
            calls.append(held[-1])
    return calls


@pytest.mark.parametrize("seed", range(60))
def test_the_model_of_beliefs_holds_the_truth_if_no_switch_is_turned(seed):
    rng = random.Random(seed)
    calls = traffic(rng, rng.randrange(1, 40))
    machine = run(calls, 5)
    if any(isinstance(event, MmPageAlloc) and event.pfn is None for event in machine.trace):
        with pytest.raises(LookupError):
            Belief().after(calls, 5)
    else:
        assert Belief().after(calls, 5) == free_lists(machine)


BELIEFS = {
    "hands out the upper half": Belief(hands_out="upper half"),
    "never merges": Belief(merges="nothing"),
    "merges neighbours": Belief(merges="neighbours"),
    "lists by address": Belief(lists="by address"),
    "always at the head": Belief(inserts_at="head"),
}


def calls_of(puzzle):
    """Read the calls back from the question that the reader sees."""
    orders, calls = {}, []
    for line in puzzle.given.splitlines()[1:]:
        if freed := re.fullmatch(r"machine\.free_pages\((\w), (\d)\)", line):
            calls.append(Call(freed[1], orders[freed[1]], frees=True))
            assert int(freed[2]) == orders[freed[1]], "the order that was allocated"
        else:
            made = re.fullmatch(r"(\w) = machine\.alloc_pages\(GFP_KERNEL, (\d)\)", line)
            orders[made[1]] = int(made[2])
            calls.append(Call(made[1], int(made[2])))
    return calls


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("seed", range(10))
def test_a_wrong_prediction_opens_where_it_first_goes_wrong(seed, level):
    puzzle = ex.free_lists(seed=seed, level=level)
    calls = calls_of(puzzle)
    for mistake in puzzle.misconceptions:
        result = puzzle.check(mistake.answer)
        believed = list(BELIEFS[mistake.name].states(calls, 5))
        at = len(result.state.then)
        assert all(believed[n] == free_lists(run(calls[:n], 5)) for n in range(at))
        assert believed[at] != free_lists(result.machine)
        validate(result.machine)


@pytest.mark.parametrize("seed", range(20))
def test_the_rule_of_the_tail_matters_on_the_second_level_only(seed):
    for level in (1, 2):
        puzzle = ex.free_lists(seed=seed, level=level)
        always_head = BELIEFS["always at the head"].after(calls_of(puzzle), 5)
        assert puzzle.check(always_head).right == (level == 1)


def puzzle_and_answer():
    puzzle = ex.free_lists(seed=1)
    return puzzle, {order: list(pfns) for order, pfns in puzzle.right_answers[0].items()}


@pytest.mark.parametrize(("change", "words"), [
    (lambda lists: lists | {3: [4]}, "No block of order 3 begins at pfn 4"),
    (lambda lists: lists | {0: [40]}, "There is no page 40"),
    (lambda lists: lists | {0: [-1]}, "There is no page -1"),
    (lambda lists: lists | {0: [0, 7, 8]}, "Page 8 is in two blocks"),
    (lambda lists: lists | {0: [0, 7, 0]}, "Page 0 is in two blocks"),
    (lambda lists: lists | {0: [1, 0, 7]}, "Page 1 is in your block at pfn 1, but it is not free"),
    (lambda lists: lists | {4: []}, "Pages are missing"),
    (lambda lists: lists | {0: [7, 0]}, "not in the order of the lists"),
    (lambda lists: lists | {3: [], 2: [8, 12, *lists.get(2, [])]}, "cut into other blocks"),
    (lambda lists: lists | {6: [0]}, "There is no order 6 here"),
])
def test_a_broken_rule_of_free_lists_is_named(change, words):
    puzzle, lists = puzzle_and_answer()
    result = puzzle.check(change(lists))
    assert result.outcome == "wrong"
    assert words in " ".join(repr(result).split())


def test_predictions_may_be_written_in_several_ways():
    puzzle, lists = puzzle_and_answer()
    alone = {order: pfns[0] if len(pfns) == 1 else tuple(pfns) for order, pfns in lists.items()}
    assert puzzle.check(alone).right
    assert puzzle.check(lists | {5: []}).right
    assert puzzle.check({float(order): pfns for order, pfns in lists.items()}).right
    assert puzzle.check([lists.get(order, []) for order in range(6)]).right

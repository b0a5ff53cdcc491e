"""What counts as a number, a list, a table; and what is said of the rest."""

from decimal import Decimal
from fractions import Fraction

import numpy
import pytest

from kmm_sim.exercises.reading import (
    Blank,
    Malformed,
    address,
    describe,
    in_hex,
    mapping,
    number,
    numbers,
    sequence,
    table,
    truth,
    whole_number,
    word,
    words_of,
)


@pytest.mark.parametrize("seven", [7, 7.0, numpy.int64(7), numpy.uint8(7), numpy.float32(7), numpy.array(7),
                                   Fraction(7), Decimal(7)], ids=lambda seven: type(seven).__name__)
def test_a_whole_number_of_any_make_is_an_int(seven):
    assert type(whole_number(seven, "It")) is int
    assert whole_number(seven, "It") == 7


def test_a_fraction_is_exact_however_large():
    assert whole_number(Fraction(2**60 + 2, 2), "It") == 2**59 + 1
    with pytest.raises(Malformed, match="should be a whole number"):
        whole_number(Fraction(2**60 + 1, 2), "It")
    with pytest.raises(Malformed, match="was rounded"):
        whole_number(2.0**60, "It")


@pytest.mark.parametrize(("value", "words"), [
    (7.5, "It should be a whole number, not 7.5"),
    (float("inf"), "whole number, not inf"),
    ("7", "It should be a number, not the text '7'"),
    (True, "not the truth value True"),
    (None, "is a `return` missing?"),
    ([7], r"not \[7\] \(list\)"),
    (7j, r"not 7j \(complex\)"),
    (print, "a function: call it"),
    ((n for n in ()), "write `return`, not `yield`"),
])
def test_what_is_no_number_is_told_what_it_is(value, words):
    with pytest.raises(Malformed, match=words):
        whole_number(value, "It")


def test_a_coroutine_is_told_so_and_closed():
    async def answer():
        return 7

    with pytest.raises(Malformed, match="async def"):
        whole_number(answer(), "It")


@pytest.mark.parametrize("entries", [[1, 2], (1, 2), numpy.array([1, 2]), range(1, 3), {1: "a", 2: "b"}.keys()],
                         ids=lambda entries: type(entries).__name__)
def test_a_list_of_any_make_is_a_tuple(entries):
    assert tuple(whole_number(each, "It") for each in sequence(entries, "It")) == (1, 2)


@pytest.mark.parametrize(("value", "words"), [
    ({1, 2}, "a set has no order"),
    ("12", "not the text '12'"),
    (iter([1]), "should be a list, not"),
    ({1: 2}, "should be a list, not"),
    (12, r"not 12 \(int\)"),
    ([0] * 5000, "more than 4096 entries"),
])
def test_what_is_no_list_is_told_what_it_is(value, words):
    with pytest.raises(Malformed, match=words):
        sequence(value, "It")


def test_a_table_may_be_a_dict_or_a_list():
    assert mapping({0: "a", numpy.int64(1): "b"}, "It") == mapping(["a", "b"], "It") == {0: "a", 1: "b"}
    with pytest.raises(Malformed, match="A key of it should be a number, not the text '0'"):
        mapping({"0": 1}, "It")


@pytest.mark.parametrize("value", [None, {1, 2}, "12", 12, iter([1])], ids=lambda value: type(value).__name__)
def test_what_is_no_table_is_told_of_dicts_too_and_of_no_return(value):
    for read in (lambda: mapping(value, "It"), lambda: table(value, ("pages", "bytes"), "It")):
        with pytest.raises(Malformed, match="It should be a dict with the keys that the cell has, or a list") as told:
            read()
        assert "return" not in str(told.value)


def test_a_blank_is_no_answer():
    for read in (whole_number, sequence, mapping):
        with pytest.raises(Blank):
            read(..., "It")


def test_anything_can_be_described_shortly():
    class Rude:
        def __repr__(self):
            raise SystemExit

    assert describe(Rude()) == "<Rude>"
    assert describe(10**5000) == "<int>"
    assert len(describe("x" * 10**6)) < 100
    assert len(describe(list(range(10**6)))) < 200


def test_where_an_object_is_in_memory_is_not_said():
    class Long:
        def __repr__(self):
            return f"<{'x' * 100} at 0x7f12>"

    assert describe([object(), print]) == "[<object object>, <built-in function print>]"
    assert describe(lambda: 1) == "<function test_where_an_object_is_in_memory_is_not_said.<locals>.<lambda>>"
    assert "0x" not in describe(Long())
    assert describe("block at 0x1000, file 2") == "'block at 0x1000, file 2'"


def test_addresses_are_in_hexadecimal_wherever_they_stand():
    assert in_hex([(0, 0x2000), {0x38000: None}]) == "[(0, 0x2000), {0x38000: None}]"
    assert in_hex(-4096) == "-0x1000"
    assert in_hex(1 << 120) == "0x1" + 30 * "0", "an address that was shifted too far"
    assert in_hex(10**5000) == "<int>"
    assert (in_hex(True), in_hex(9), in_hex(0.5)) == ("True", "9", "0.5")


@pytest.mark.parametrize("way", ["GFP_KERNEL", "gfp_kernel", " GFP KERNEL ", "gfp-kernel", 0xCC0])
def test_a_word_may_be_spelt_in_several_ways(way):
    assert word({"GFP_KERNEL": (0xCC0,), "GFP_ATOMIC": ()})(way, "It") == "GFP_KERNEL"


def test_a_word_that_is_not_offered_is_told_what_is():
    with pytest.raises(Malformed, match="It should be one of `kmalloc`, `vmalloc`, not the text 'malloc'"):
        word(("kmalloc", "vmalloc"))("malloc", "It")
    assert word(("kmalloc", "vmalloc"))("vmalloc()", "It") == "vmalloc"


def test_yes_and_no_may_be_true_and_false():
    assert word(("yes", "no"))(True, "It") == "yes"
    assert word(("yes", "no"))(False, "It") == "no"
    with pytest.raises(Malformed):
        word(("kmalloc", "vmalloc"))(True, "It")


def test_an_address_may_be_text_or_a_number():
    assert address("0xffff888000001000", "It") == address(0xFFFF888000001000, "It") == 0xFFFF888000001000
    assert address("ffff8880_00001000", "It") == 0xFFFF888000001000
    for value in ("0x", "gh", "0x" + "f" * 17, 1.5, None):
        with pytest.raises(Malformed):
            address(value, "It")


def test_several_answers_may_be_a_table_or_a_list():
    keys = ("pages", "bytes")
    for answer in ({"Pages": 1, " bytes": 2, "more": 3}, [1, 2], (1, 2)):
        assert table(answer, keys, "It") == {"pages": 1, "bytes": 2}
    assert table(7, ("pages",), "It") == table([7], ("pages",), "It") == {"pages": 7}
    with pytest.raises(Malformed, match="no answer for bytes"):
        table({"pages": 1}, keys, "It")
    with pytest.raises(Malformed, match="1 entries; there are 2 questions"):
        table([1], keys, "It")


def test_words_have_no_order_and_numbers_do():
    assert words_of(("a", "b"))(["b", "a"], "It") == words_of(("a", "b"))({"a", "b"}, "It") == {"a", "b"}
    assert numbers([2, 1.0], "It") == (2, 1)
    assert numbers(2, "It") == (2,)
    assert number(2, "It") == number(numpy.float64(2), "It") == 2.0
    assert truth(numpy.bool_(True), "It") is True
    with pytest.raises(Malformed):
        truth(1, "It")


def test_a_truth_value_that_is_no_word_is_told_of_as_it_was_given():
    assert word(("yes", "no"))(True, "It") == "yes"
    with pytest.raises(Malformed, match=r"not True \(bool\)"):
        word(("may sleep", "must not sleep"))(True, "It")

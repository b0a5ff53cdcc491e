"""Plain values get from one process to the other; nothing else does, and nothing breaks the reader."""

import json
import os
import random
from collections import UserList, deque
from decimal import Decimal
from types import MappingProxyType

import numpy
import pytest

from kmm_sim import GFP_DMA, GFP_KERNEL
from kmm_sim.exercises import Series, all_exercises
from kmm_sim.exercises.reading import describe, sort_of
from kmm_sim.grade.wire import Gone, Opaque, packed, receive, send, unpacked


def there(value):
    return unpacked(json.loads(json.dumps(packed(value))))


@pytest.mark.parametrize("value", [
    None, True, 0, -1, 1 << 60, -(1 << 900), 1.5, "text", ..., [1, [2]], (1, 2), {1, 2}, {1: [2], "a": (3,)}, [], {},
    {(1, 2): {3}}], ids=lambda value: repr(value)[:20])
def test_a_plain_value_arrives_as_it_was(value):
    assert there(value) == value
    assert type(there(value)) is type(value)


def test_numbers_of_other_makes_arrive_as_numbers():
    assert there(numpy.int64(7)) == 7
    assert there(numpy.array([1, 2])) == [1, 2]
    assert there(numpy.float32(1.5)) == 1.5
    assert there(Decimal(3)) == 3.0
    assert there(range(3)) == [0, 1, 2]
    assert there(GFP_KERNEL) == 0xCC0
    assert there(float("inf")) == float("inf")


def test_lists_and_tables_of_other_makes_arrive_as_lists_and_tables():
    table = {"a": 1, "b": 2}
    assert there(deque([1, 2])) == [1, 2]
    assert there(table.values()) == [1, 2]
    assert there(table.keys()) == ["a", "b"]
    assert there(MappingProxyType(table)) == table
    assert there(UserList([1, 2])) == [1, 2]
    assert isinstance(there(b"12"), Opaque)


async def waits():
    return 1


@pytest.mark.parametrize("make", [
    waits, lambda: (n for n in ()), lambda: map(int, ()), lambda: iter([]), lambda: b"12", lambda: 1j, lambda: print,
    lambda: lambda: 1, object, lambda: None, lambda: "text", lambda: GFP_KERNEL | GFP_DMA, lambda: [1], lambda: int])
def test_the_same_words_are_said_of_what_arrived(make):
    assert sort_of(there(make())) == sort_of(make())


def test_a_mask_is_shown_with_the_names_of_its_flags():
    assert describe([there(GFP_KERNEL)]) == "[<gfp 0xcc0 GFP_KERNEL>]"
    assert there(type(GFP_KERNEL)(1 << 80)) == 1 << 80


class Endless(list):
    def __iter__(self):
        while True:
            yield 0


class Rude:
    def __getattribute__(self, name):
        raise SystemExit(name)


def circle():
    ring = []
    ring.append(ring)
    return ring


def test_whatever_else_is_packed_without_harm():
    for value in (Endless(), Rude(), [Rude()], circle(), print, object(), 10**5000, [[0] * 9999] * 99, (n for n in ())):
        assert len(json.dumps(packed(value))) < 2_000_000
        there(value)


@pytest.mark.parametrize("raw", [
    [], [1], {"x": 1}, {"l": 5}, {"m": [[1]]}, {"m": [[{"l": []}, 1]]}, {"i": "z"}, {"s": [{"l": []}]}, {"d": []},
    {"l": 1, "t": 2}, {}, {"i": "f" * 10}, 1.5, {"?": 5}, {"?": ["a"]},
    {"g": "x"}, {"g": -1}, {"g": 1.5}], ids=repr)
def test_nonsense_is_read_without_harm(raw):
    value = unpacked(raw)
    assert isinstance(value, Opaque | int | float)


def deep(levels):
    raw = 0
    for _level in range(levels):
        raw = {"l": [raw]}
    return raw


def test_depth_has_an_end():
    assert "too much" in repr(unpacked(deep(500)))


def test_messages_have_limits():
    reads, writes = os.pipe()
    os.write(writes, (1 << 30).to_bytes(4, "big"))
    with pytest.raises(Gone, match="too long"):
        receive(reads, 1)
    os.write(writes, (3).to_bytes(4, "big") + b"{{{")
    with pytest.raises(Gone, match="cannot be read"):
        receive(reads, 1)
    send(writes, {"a": 1})
    assert receive(reads, 1) == {"a": 1}
    with pytest.raises(Gone, match="in time"):
        receive(reads, 0.01)
    os.close(writes)
    with pytest.raises(Gone, match="ended"):
        receive(reads, 1)
    os.close(reads)


def test_the_answers_of_every_exercise_survive_the_way():
    """What grading compares is what came over the wire."""
    for each in all_exercises():
        exercise = each(seed=2) if isinstance(each, Series) else each
        for answer in exercise.right_answers:
            if not callable(answer):
                assert exercise.check(there(answer)).right, exercise.name
                continue

            def over_the_wire(*args, answer=answer):
                copies = [there(arg) for arg in args]
                value = there(answer(*copies))
                for own, theirs in zip(args, copies, strict=True):
                    if isinstance(own, list):
                        own[:] = there(theirs)
                return value

            assert exercise.check(over_the_wire).right, exercise.name


def test_random_values_arrive():
    rng = random.Random(5)

    def value(depth):
        if depth == 0:
            number = rng.randrange(-(1 << 70), 1 << 70)
            return rng.choice([number, rng.random(), None, True, "x" * rng.randrange(9), ...])
        kind = rng.choice([list, tuple, "dict"])
        entries = [value(depth - 1) for _entry in range(rng.randrange(4))]
        return dict(enumerate(entries)) if kind == "dict" else kind(entries)

    for _value in range(300):
        one = value(rng.randrange(4))
        assert there(one) == one

"""The parts of an object's place tile it, and are what the debug code fills."""

from itertools import pairwise

import pytest

from kmm_sim import GFP_KERNEL, Machine
from kmm_sim.mm.slab_common import SlabFlags
from kmm_sim.observe.slab_object import object_layout


@pytest.mark.parametrize("letters", ["", "F", "Z", "P", "U", "ZP", "FZPU"])
@pytest.mark.parametrize("size", [8, 20, 64, 100, 192, 700])
@pytest.mark.parametrize("free", [True, False])
def test_the_parts_tile_the_place_of_an_object(letters, size, free):
    machine = Machine(pages=64, slab_debug=letters)
    s = machine.kmem_cache_create("example", size, flags=SlabFlags.NO_MERGE)
    parts = object_layout(s, free)
    assert sum(part.size for part in parts) == s.size
    assert parts[0].start == -s.red_left_pad
    assert all(one.start + one.size == other.start for one, other in pairwise(parts))


def test_with_all_checks_64_bytes_become_160():
    s = Machine(pages=64, slab_debug="FZPU").kmem_cache_create("example", 64, flags=SlabFlags.NO_MERGE)
    assert [(part.name, part.size) for part in object_layout(s)] == [
        ("left red zone", 8), ("object", 64), ("right red zone", 8), ("free pointer", 8), ("who allocated it", 32),
        ("who freed it", 32), ("padding", 8)]
    assert s.size == 160


def test_the_parts_hold_what_their_names_say():
    machine = Machine(pages=64, slab_debug="FZPU")
    s = machine.kmem_cache_create("example", 64, flags=SlabFlags.NO_MERGE)
    ptr = machine.kmem_cache_alloc(s, GFP_KERNEL)

    def bytes_of(name):
        part = next(part for part in object_layout(s) if part.name == name)
        return set(machine.read(ptr + part.start, part.size))

    assert bytes_of("left red zone") == bytes_of("right red zone") == {0xCC}
    machine.kmem_cache_free(s, ptr)
    assert bytes_of("left red zone") == bytes_of("right red zone") == {0xBB}
    assert bytes_of("object") == {0x6B, 0xA5}
    assert bytes_of("padding") == {0x5A}


def test_without_checks_the_free_pointer_stands_in_the_middle_of_a_free_object():
    s = Machine(pages=64).kmem_cache_create("example", 64, flags=SlabFlags.NO_MERGE)
    assert [(part.name, part.start, part.size) for part in object_layout(s, free=True)] == [
        ("object", 0, 32), ("free pointer", 32, 8), ("object", 40, 24)]
    assert [part.name for part in object_layout(s)] == ["object"]

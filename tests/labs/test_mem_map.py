"""The calculator of mem_map: the sum, its picture, its question."""

import pytest

from kmm_sim.labs import mem_map_lab
from kmm_sim.labs.mem_map import PAGES, RAM, STRUCTS, MemMapLab, Work


def test_the_recorded_sums_begin_with_that_of_the_notes():
    lab = mem_map_lab()
    assert lab.scene["t:mib"]["cells"][1] == "20 MiB"
    assert lab.frames[0][2] == "4 GiB / 4 KiB * 56 bytes"


def test_the_question_is_which_share_and_the_answer_is_that_of_the_table():
    run = mem_map_lab().run
    for ram in RAM:
        for page in PAGES:
            for struct in STRUCTS:
                run.make(Work(ram, page, struct))
                _, options, answer = run.frames[-1][4]
                assert options[answer] == run.scene["t:share"]["cells"][1]
                assert len(options) == 4


def test_more_memory_is_no_larger_share_though_one_may_think_so():
    run = mem_map_lab().run
    run.make(Work("512 MiB", "4 KiB", "64"))
    run.make(Work("4 GiB", "4 KiB", "64"))
    _, options, answer = run.frames[-1][4]
    assert options[answer] == "1.56 %"
    assert "12.48 %" in options, "eight times as much"


def test_a_size_that_is_not_on_offer_is_refused():
    with pytest.raises(ValueError, match="choose from the lists"):
        MemMapLab().read({"do": "work", "ram": "3 GiB", "page": "4 KiB", "struct": "64"})

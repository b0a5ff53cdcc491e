"""A page allocation failure of a real kernel, read: each sum says no, as the kernel did."""

import pytest

from kmm_sim import GFP_ATOMIC, GFP_KERNEL, Machine
from kmm_sim.observe import snapshot
from kmm_sim.observe.failure import why_it_failed, zones_of_report
from kmm_sim.observe.reckoning import standing, why
from kmm_sim.presets import recorded_failure


def test_the_recorded_failure_is_three_refusals_two_of_them_by_one_page():
    sums = {each.zone: each for each in why_it_failed(recorded_failure())}
    assert list(sums) == ["Normal", "DMA32", "DMA"]
    assert not any(each.ok for each in sums.values())
    assert all(each.block for each in sums.values())
    assert [(each.free_pages, each.least_pages) for each in sums.values()] == [(341, 342), (504, 517), (385, 386)]


def test_the_simulators_own_report_reads_back_as_the_machine_is():
    machine = Machine(memory="64 MiB")
    while machine.alloc_pages(GFP_ATOMIC, 2) is not None:
        pass
    text = "\n".join(machine.dmesg)
    state = snapshot(machine)
    assert [each.free_pages for each in zones_of_report(text)] == [zone.vm_stat_free for zone in machine.zones]
    assert [each.marks[:3] for each in zones_of_report(text)] == [standing(zone).marks[:3] for zone in state.zones]
    assert [each.ok for each in why_it_failed(text)] == [each.ok for each in why(state, int(GFP_ATOMIC), 2)]
    assert not any(each.ok for each in why_it_failed(text))


def test_a_report_with_time_stamps_is_read_as_well():
    text = recorded_failure()
    stamped = "\n".join(f"[    3.510972] {line}" for line in text.splitlines())
    assert list(why_it_failed(stamped)) == list(why_it_failed(text))


@pytest.mark.parametrize("text", ["", "hello", f"insmod: page allocation failure: order:3, mode:{GFP_KERNEL:#x}(x)"])
def test_another_text_is_refused_with_a_sentence(text):
    with pytest.raises(ValueError, match="text"):
        list(why_it_failed(text))

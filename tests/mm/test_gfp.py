"""Every mask is what the kernel says it is: value, zone, migratetype, printed form."""

from pathlib import Path

import pytest

import kmm_sim
from kmm_sim import GFP_KERNEL, Gfp
from kmm_sim.mm import gfp
from kmm_sim.recording import read

RECORDS = read(Path(__file__).parents[1] / "data" / "linux-6.12.117-gfp.jsonl.gz").records
ROWS = [record for record in RECORDS if isinstance(record, list)]
VALUES = next(record["values"] for record in RECORDS if isinstance(record, dict) and record["k"] == "gfp")
NAMED = [record for record in RECORDS if isinstance(record, dict) and record["k"] == "str"]
ZONES = [record for record in RECORDS if isinstance(record, dict) and record["k"] == "zone"]


def test_the_table_is_whole():
    assert len(ROWS) == 1500
    assert len(ZONES) == 16
    assert len(NAMED) > 40


@pytest.mark.parametrize("flag", list(Gfp), ids=lambda flag: flag.name)
def test_a_flag_has_the_kernels_value(flag):
    assert VALUES[f"__GFP_{flag.name}"] == flag


@pytest.mark.parametrize(
    "name",
    [name for name in gfp.__all__ if name.startswith("GFP_") and name != "GFP_BITS_MASK" and name in VALUES],
)
def test_a_mask_has_the_kernels_value(name):
    assert VALUES[name] == getattr(gfp, name)


def test_the_package_offers_the_masks_under_their_names():
    masks = [name for name in kmm_sim.__all__ if name.startswith("GFP_")]
    assert len(masks) >= 11
    assert all(VALUES[name] == getattr(kmm_sim, name) for name in masks)


def test_each_recorded_mask_has_its_zone_migratetype_and_printed_form():
    for mask, text, zone, bad, migratetype in ROWS:
        assert gfp.gfp_names(mask) == text, hex(mask)
        if not bad:  # a nonsense combination of zone bits has no defined zone
            assert gfp.gfp_zone(mask) == zone, hex(mask)
        if mask & Gfp.MOVABLE:
            mask &= ~Gfp.RECLAIMABLE  # both together are a mistake; the recording asked without
        assert gfp.gfp_migratetype(mask) == migratetype, hex(mask)


def test_each_named_mask_prints_as_the_kernel_prints_it():
    for record in NAMED:
        assert gfp.gfp_names(record["gfp"]) == record["text"]
        assert bool(record["gfp"] & gfp.DIRECT_RECLAIM) == bool(record["blocking"])


def test_each_combination_of_zone_bits_gives_its_zone():
    for record in ZONES:
        assert gfp.gfp_zone(record["bits"]) == record["zone"]


def test_a_mask_shows_its_names():
    assert str(GFP_KERNEL | Gfp.ZERO) == "GFP_KERNEL|__GFP_ZERO"
    assert repr(Gfp.IO) == "<gfp 0x40 __GFP_IO>"
    assert str(Gfp(0)) == "0"

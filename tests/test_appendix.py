"""The tables about the simulator: made from its docstrings and recordings, with nothing left out."""

import inspect
import re
from pathlib import Path

import pytest

from kmm_sim import Machine
from kmm_sim.appendix import Table, calls, fidelity, names, simplified
from kmm_sim.recording import RecordingError

DATA = Path(__file__).parent / "data"


def test_a_name_of_linux_leads_to_ours():
    rows = {row[3]: row for row in names().rows}
    theirs, version, file, _ = rows["`mm.buddy.expand()`"]
    assert theirs.startswith("[`expand()`](https://")
    assert (version, file) == ("6.12", "`mm/page_alloc.c`")
    assert "`mm.slub.alloc_debug_processing()`" not in rows  # only where it is defined


@pytest.mark.parametrize(("ours", "version"), [
    ("mm.slub.slab_alloc", "v6.12"), ("mm.slab.slab_alloc", "v2.6.34"), ("mm.slob.slob_alloc", "v6.1"),
    ("mm.sheaves.alloc_from_pcs", "v7.0"), ("mm.sheaf.refill_sheaf", "v7.0")])
def test_a_name_is_looked_up_in_a_kernel_that_has_it(ours, version):
    rows = {row[3]: row for row in names().rows}
    theirs, shown, _, _ = rows[f"`{ours}()`"]
    assert f"/linux/{version}/C/ident/" in theirs
    assert shown == version[1:]


def test_a_file_is_a_path_and_stands_at_a_kernel_that_has_it():
    for _, version, file, ours in names().rows:
        assert re.fullmatch(r"`[\w/-]+\.[ch]`", file), ours
        assert version != "6.12" or file not in ("`mm/slab.c`", "`mm/slob.c`"), ours


def test_every_simplification_has_its_row():
    rows = dict(simplified().rows)
    assert rows["`mm.buddy`"] == "no free-list shuffling, no guard pages, no compaction capture."
    assert all(rows.values())
    said = sum("Simplified: " in path.read_text() for path in Path(inspect.getfile(Machine)).parent.glob("mm/*.py"))
    assert len({row.strip("`").split(".")[1] for row in rows}) == said


def test_every_call_of_a_machine_is_listed():
    rows = {row[0]: row for row in calls().rows}
    assert rows["`alloc_pages(gfp, order)`"][2].startswith("[`alloc_pages()`]")
    public = {name for name in dir(Machine) if not name.startswith("_")}
    assert {signature.strip("`").partition("(")[0] for signature in rows} == public


def test_the_recordings_come_out_the_same():
    table = fidelity(DATA)
    *_, total = table.rows
    assert int(total[1].replace(",", "")) > 50_000
    assert total[1:] == (total[1], total[1], "none", "")
    assert len(table.rows) > 35


def test_a_broken_recording_is_no_perfect_one(tmp_path):
    (tmp_path / "linux-0-pages-x.jsonl.gz").write_bytes(b"nothing")
    with pytest.raises(RecordingError):
        fidelity(tmp_path)


def test_a_table_is_markdown_in_a_notebook_and_columns_in_a_shell():
    table = Table(("call", "what"), (("[`f()`](https://x)", "a | b"),))
    assert table._repr_markdown_() == "| call | what |\n| --- | --- |\n| [`f()`](https://x) | a \\| b |"
    assert repr(table) == "call  what\nf()   a | b"

"""The chapters answer each claim of the notes they follow, and show what was recorded as it was."""

import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from kmm_sim import GFP_KERNEL, Machine
from kmm_sim.observe import snapshot
from kmm_sim.recording import read

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CHAPTER = ROOT / "book/getting-pages.md"
RECORDED = ROOT / "book/recorded"
RECORDING = ROOT / "tests/data/linux-6.12.117-pages-split_merge_dma.jsonl.gz"


@dataclass(frozen=True)
class Claim:
    """What the notes claim, where a chapter answers, and what the answer cannot do without: see claims.toml."""

    number: int
    name: str
    chapter: str
    anchor: str
    says: tuple[str, ...]


CLAIMS = [Claim(**claim) for claim in tomllib.loads((HERE / "claims.toml").read_text(encoding="utf-8"))["claim"]]
each_claim = pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: f"{claim.chapter}#{claim.anchor}: {claim.name}")


def answer(claim: Claim) -> str:
    """The text from an anchor to the next anchor or section, with its line breaks undone."""
    text = (ROOT / f"book/{claim.chapter}.md").read_text(encoding="utf-8")
    answer_to = rf"^\({claim.anchor}\)=\n(?:##+ [^\n]*\n)?(.*?)(?=^\([\w-]+\)=$|^##+ |\Z)"
    found = re.search(answer_to, text, re.MULTILINE | re.DOTALL)
    assert found, f"{claim.chapter} has no anchor ({claim.anchor})="
    return re.sub(r"\s+", " ", found.group(1))


@each_claim
def test_the_book_answers_each_claim_of_the_notes(claim):
    assert claim.says
    missing = [words for words in claim.says if words not in answer(claim)]
    assert not missing


def test_every_claim_of_the_notes_has_an_answer():
    assert {claim.number for claim in CLAIMS} - {0} == set(range(1, 44))


@each_claim
def test_the_answer_has_a_place_in_the_page(claim, built_book):
    assert f'id="{claim.anchor}"' in (built_book / f"book/{claim.chapter}.html").read_text(encoding="utf-8")


def test_the_chapter_sums_up_every_claim_in_one_table():
    table = CHAPTER.read_text(encoding="utf-8").partition("## Then and now")[2].partition("What changed since")[0]
    rows = [line for line in table.splitlines() if line.startswith("|")][2:]
    assert len(rows) == 10
    assert all(row.count("|") == 3 and all(cell.strip() for cell in row.split("|")[1:3]) for row in rows)


def blocks(name: str) -> list[list[str]]:
    """The lists of each paragraph of a recorded text: ``order 0: 302 300``."""
    text = (RECORDED / name).read_text(encoding="utf-8")
    return [paragraph.splitlines()[1:] for paragraph in text.strip().split("\n\n")]


def lists(free) -> list[str]:
    """Free lists below order 9 as the recorded texts have them."""
    return [f"order {order}: {' '.join(map(str, pfns))}" for order, _, pfns in free if order < 9]


@pytest.mark.parametrize("name", ["split-merge-6.12.117.txt", "every-other-page-6.12.117.txt"])
def test_the_lists_in_the_book_were_recorded(name):
    """... one after the other, in this order."""
    dumps = [lists(record["zones"][0]["free"]) for record in read(RECORDING).records
             if isinstance(record, dict) and record["k"] == "dump"]
    at = 0
    for block in blocks(name):
        assert block in dumps[at:], block
        at += dumps[at:].index(block)


def test_the_bench_of_the_chapter_gives_the_recorded_lists():
    """The cells of the chapter, step by step, beside what the kernel had."""
    machine = Machine(pages=512)

    def now() -> list[str]:
        return lists((block.order, block.migratetype, block.pfns) for block in snapshot(machine).zones[0].free)

    machine.alloc_pages(GFP_KERNEL, 8)
    machine.alloc_pages(GFP_KERNEL, 5)
    found = [now()]
    page = machine.alloc_page(GFP_KERNEL)
    found.append(now())
    machine.free_page(page)
    found.append(now())
    assert found == blocks("split-merge-6.12.117.txt")

    pages = [machine.alloc_page(GFP_KERNEL) for _ in range(16)]
    found = [now()]
    for some in (pages[::2], pages[1::2]):
        for page in some:
            machine.free_page(page)
        found.append(now())
    assert found == blocks("every-other-page-6.12.117.txt")


def test_every_recorded_text_names_its_kernel_and_is_shown():
    book = "".join(chapter.read_text(encoding="utf-8") for chapter in (ROOT / "book").glob("*.md"))
    texts = sorted(RECORDED.iterdir())
    assert texts
    for text in texts:
        assert re.search(r"-\d+\.\d+\.\d+\.txt$", text.name)
        assert f"recorded/{text.name}" in book


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "book").glob("*.md")))
def test_the_pages_are_spelled_right(name):
    checked = subprocess.run([sys.executable, "-m", "codespell_lib", str(ROOT / "book" / name)],
                             capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr

"""The chapter "Getting pages" answers each claim of the notes it follows, and shows what was recorded as it was."""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from kmm_sim import GFP_KERNEL, Machine
from kmm_sim.observe import snapshot
from kmm_sim.recording import read

ROOT = Path(__file__).resolve().parents[2]
CHAPTER = ROOT / "book/getting-pages.md"
RECORDED = ROOT / "book/recorded"
RECORDING = ROOT / "tests/data/linux-6.12.117-pages-split_merge_dma.jsonl.gz"


@dataclass(frozen=True)
class Claim:
    """What the notes claim, where the chapter answers, and what the answer cannot do without."""

    name: str
    anchor: str
    says: tuple[str, ...]


CLAIMS = (
    Claim("alloc_pages() gives 2**order pages and the first struct page", "pages-and-addresses",
          ("m.alloc_pages(GFP_KERNEL, 2)", "`struct page` of the first", "without a gap")),
    Claim("the calls are declared in gfp.h", "pages-and-addresses", ("<linux/mm.h>", "not in `gfp.h`")),
    Claim("page_address() gives the address", "pages-and-addresses", ("direct map", "high memory", "`NULL`")),
    Claim("__get_free_pages() gives an address", "pages-and-addresses", ("__get_free_pages()", "__GFP_HIGHMEM")),
    Claim("a request can fail", "failure", ("`NULL`, the other 0", "ENOMEM", "An order above 10")),
    Claim("get_zeroed_page() takes an unsigned int", "zeroed-pages", ("`gfp_t`", "__GFP_ZERO", "init_on_alloc")),
    Claim("zeroed pages keep secrets from users", "zeroed-pages", ("user process", "password")),
    Claim("pages are freed by page or by address, with their order", "giving-back",
          ("order that was asked for", "m.free_pages_addr(0, 2)")),
    Claim("a wrong free crashes at once", "wrong-free", ("Linux does not", "three pages are lost", "second free")),
    Claim("a wrong free crashes at once", "wrong-free-recorded",
          ("CONFIG_DEBUG_VM", "free_pages_prepare()", "check_new_pages()", "order too large", "order too small")),
    Claim("blocks have a power of two of pages", "order", ("2<sup>n</sup>", "multiple of its size", "order is 10")),
    Claim("three pages out of four", "three-pages", ("you get four", "alloc_pages_exact()", "free_pages_exact()")),
    Claim("freeing is the exact reverse", "not-the-reverse", ("only if the way is clear", "fragmentation")),
    Claim("the unit is 4 KiB", "page-size", ("4096", "arm64", "16 or 64 KiB", "kmalloc()")),
)
each_claim = pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: f"{claim.anchor}: {claim.name}")


def answer(anchor: str) -> str:
    """The text from an anchor to the next anchor or section, with its line breaks undone."""
    text = CHAPTER.read_text(encoding="utf-8")
    answer_to = rf"^\({anchor}\)=\n(?:###? [^\n]*\n)?(.*?)(?=^\([\w-]+\)=$|^###? )"
    found = re.search(answer_to, text, re.MULTILINE | re.DOTALL)
    assert found, f"the chapter has no anchor ({anchor})="
    return re.sub(r"\s+", " ", found.group(1))


@each_claim
def test_the_chapter_answers_each_claim_of_the_notes(claim):
    missing = [words for words in claim.says if words not in answer(claim.anchor)]
    assert not missing


@each_claim
def test_the_answer_has_a_place_in_the_page(claim, built_book):
    assert f'id="{claim.anchor}"' in (built_book / "book/getting-pages.html").read_text(encoding="utf-8")


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
    chapter = CHAPTER.read_text(encoding="utf-8")
    texts = sorted(RECORDED.iterdir())
    assert texts
    for text in texts:
        assert re.search(r"-\d+\.\d+\.\d+\.txt$", text.name)
        assert f"recorded/{text.name}" in chapter


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "book").glob("*.md")))
def test_the_pages_are_spelled_right(name):
    checked = subprocess.run([sys.executable, "-m", "codespell_lib", str(ROOT / "book" / name)],
                             capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr

# SPDX-License-Identifier: GPL-2.0-only
"""Words of the kernel in a page, and the place where its source explains them.

A code span is taken for the kernel's if it looks like that: a call, a constant, a ``struct``, a type, a file.  What
only looks like it is in NOT_LINUX; what the kernel of this book has no more, or not yet, in ELSEWHERE.  A test compares
both with the kernel.
"""

import re
from collections.abc import Iterator
from functools import cache

from docutils import nodes

from kmm_sim.appendix import names

SITE = "https://elixir.bootlin.com/linux/"
NAMES = "v6.12"
LINES = "v6.12.117"  # the lines that chapters cite are of this one

CALL = re.compile(r"(_*[A-Za-z]\w+)\((?!\s*\*).*\);?", re.DOTALL)
CONSTANT = re.compile(r"_*[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|PG_[a-z]+|NULL")
TYPE = re.compile(r"(?:struct|enum|union) (\w+)(?: ?\*)?|(\w+_t)")
FILE = re.compile(r"(?:arch|fs|include|kernel|lib|mm)/[\w/.-]+\.[chS]")
HEADER = re.compile(r"<((?:asm|linux)/[\w/.-]+\.h)>")
WORD = re.compile(r"_*[a-z]\w+")
LINE = re.compile(r"\blines?\s+(\d{2,5})\b")
MORE_LINES = re.compile(r"(\d{2,5}) \(")

TRACEPOINTS = frozenset({"mm_page_alloc", "mm_page_alloc_extfrag"})
"""Macros make them, so no cross-reference knows them; their file does."""
EVENTS = "include/trace/events/kmem.h"

BARE = frozenset({  # names that are written without parentheses, and are no other words
    "__alloc_size", "_count", "_mapcount", "_refcount", "alloc_pages", "alloc_pages_exact", "alloc_percpu",
    "bpf_prog_pack_alloc", "colour_next", "compound_head", "dma_alloc_coherent", "kernel_clone", "kmalloc",
    "kmalloc_size_index", "kmap_local_page", "kmem_cache", "kmem_cache_alloc", "kvmalloc", "kvmalloc_array",
    "load_module", "lowmem_reserve", "mem_map", "memcg_data", "mempool_alloc", "min_free_kbytes", "page_address",
    "page_type", "pcpu_get_vm_areas", "preempt_count", "task_struct", "thread_info", "vmalloc", "vmemmap",
    "watermark_scale_factor",
})

KCONFIG = frozenset({"FORTIFY_SOURCE", "RANDOMIZE_KSTACK_OFFSET"})
"""Options that are written without CONFIG_."""

ELSEWHERE = {
    "CONFIG_4KSTACKS": "v2.6.34", "MAX_ORDER": "v6.1", "MIGRATE_RESERVE": "v2.6.34", "SLAB_DESTROY_BY_RCU": "v2.6.34",
    "SLAB_MEM_SPREAD": "v6.1", "THREAD_ORDER": "v2.6.34", "__GFP_ATOMIC": "v6.1", "__GFP_COLD": "v2.6.34",
    "__GFP_REPEAT": "v2.6.34", "__GFP_WAIT": "v2.6.34", "_count": "v2.6.34", "cache_alloc_refill": "v2.6.34",
    "colour_next": "v2.6.34", "kmalloc_obj": "v7.0", "memdesc_flags_t": "v6.18", "mm/slab.c": "v2.6.34",
    "mm/slob.c": "v6.1", "slob_page_alloc": "v6.1",
}
"""What 6.12 does not have, and a kernel that has it."""

NOT_LINUX = frozenset({
    "DIRECT_RECLAIM", "HWCACHE_ALIGN", "KSWAPD_RECLAIM", "RECLAIM_ACCOUNT",  # flags without what they begin with
    "Machine", "STACK_KINDS", "gfp_names", "struct_page", "why_it_failed",  # ours
    "decide", "everyday", "irq", "probe", "start", "stop",  # functions of examples and exercises
    "ioctl", "malloc", "open", "sizeof",  # the C library's, the compiler's
    "WANT_PAGE_VIRTUAL",  # defined by a few other architectures only
})
"""What looks like a name of the kernel and is none to look up."""


def link_kernel(doctree: nodes.document, running: list[nodes.literal | nodes.Text]) -> None:
    """Make the first use of each kernel name in running text a link to the source, and every line that is cited."""
    others = NOT_LINUX | written_here(doctree)
    seen: set[str] = set()
    cited = ""  # the file that "line 12" is about
    for node in running:
        if isinstance(node, nodes.literal):
            text = node.astext()
            cited = file_of(text) or cited
            name = name_in(text)
            if name and name not in seen | others:
                seen.add(name)
                node.replace_self(link := source_link(address(name)))
                link += node
        elif cited and not isinstance(node.parent, nodes.literal) and len(pieces := list(with_lines(node, cited))) > 1:
            node.parent.replace(node, pieces)


def written_here(doctree: nodes.document) -> frozenset[str]:
    """The functions that only the cells of a page define: answers to exercises."""
    cells = [node for node in doctree.findall(nodes.container) if node.get("nb_element") == "cell_code_source"]
    found = {name for cell in cells for name in re.findall(r"^def (\w+)\(", cell.astext(), re.MULTILINE)}
    return frozenset(found - BARE - files().keys())


def name_in(text: str) -> str:
    """Return what of the kernel a code span names, or nothing."""
    if found := CALL.fullmatch(text) or TYPE.fullmatch(text):
        return next(name for name in found.groups() if name)
    if header := HEADER.fullmatch(text):
        return f"include/{header[1]}"
    if CONSTANT.fullmatch(text) or FILE.fullmatch(text) or text in BARE or text in TRACEPOINTS:
        return text
    return ""


def address(name: str) -> str:
    """Return where a name is explained, or a file is shown."""
    version = ELSEWHERE.get(name, NAMES)
    if "/" in name:
        return f"{SITE}{version if version != NAMES else LINES}/source/{name}"
    if name in TRACEPOINTS:
        return f"{SITE}{LINES}/source/{EVENTS}"
    if name in KCONFIG or name.startswith("CONFIG_"):
        return f"{SITE}{version}/K/ident/CONFIG_{name.removeprefix('CONFIG_')}"
    return f"{SITE}{version}/C/ident/{name}"


@cache
def files() -> dict[str, str]:
    """The file of each function of Linux that the simulator has."""
    return {name: file.strip("`") for theirs, version, file, _ in names().rows if version == "6.12"
            for name in re.findall(r"`(\w+)\(\)`", theirs)}


def file_of(text: str) -> str:
    """Return the file that a code span names, or in which the function that it names is defined, or nothing."""
    name = name_in(text)
    return name if "/" in name else files().get(name, "")


def with_lines(text: nodes.Text, file: str) -> Iterator[nodes.Node]:
    """Return a text in pieces, each line that it cites being a link to that line of a file."""
    at, words = 0, text.astext()
    for found in LINE.finditer(words):
        spans = [found.span()]
        if found[0].startswith("lines"):
            spans += [more.span(1) for more in MORE_LINES.finditer(words, found.end())]
        for start, end in spans:
            link = source_link(f"{SITE}{LINES}/source/{file}#L{re.sub(r'[^0-9]', '', words[start:end])}")
            link += nodes.Text(words[start:end])
            yield from (nodes.Text(words[at:start]), link)
            at = end
    yield nodes.Text(words[at:])


def source_link(url: str) -> nodes.reference:
    """Return an empty link to the kernel's source."""
    return nodes.reference("", "", refuri=url, internal=False, classes=["kmm-source"])

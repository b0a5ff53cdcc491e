"""Words that lead on: terms to the glossary, kernel names to the kernel's source, once a page."""

import re

TERM = re.compile(r'<a class="[^"]*" href="glossary\.html#(term-[^"]*)"[^>]*><span class="[^"]*kmm-term')
NAME = re.compile(r'<a class="kmm-source[^"]*" href="https://elixir\.bootlin\.com/linux/v6\.12/C/ident/(\w+)"')


def test_the_first_use_of_a_term_leads_to_the_glossary(chapter_name, built_book):
    page = (built_book / f"{chapter_name}.html").read_text(encoding="utf-8")
    terms = TERM.findall(page)
    assert terms
    assert len(terms) == len(set(terms))
    glossary = (built_book / "book/glossary.html").read_text(encoding="utf-8")
    assert all(f'id="{term}"' in glossary for term in terms)


def test_the_first_use_of_a_kernel_name_leads_to_the_kernel(chapter_name, built_book):
    page = (built_book / f"{chapter_name}.html").read_text(encoding="utf-8")
    names = NAME.findall(page)
    assert names
    assert len(names) == len(set(names))


def test_headings_and_code_have_no_links_of_ours(chapter_name, built_book):
    page = (built_book / f"{chapter_name}.html").read_text(encoding="utf-8")
    for part in re.findall(r"<h[1-6]>.*?</h[1-6]>|<pre>.*?</pre>", page, re.DOTALL):
        assert not TERM.search(part)
        assert not NAME.search(part)

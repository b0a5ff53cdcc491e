"""Cards: escaped as HTML, readable as text."""

from html.parser import HTMLParser

import pytest

from kmm_sim.exercises import getting_pages as ex
from kmm_sim.exercises.card import ACCENT, Card, Code, Facts, Steps, Text, html, plain

NASTY = '<script>alert("x")</script> & \'"><img src=x onerror=1>'


class Tags(HTMLParser):
    """Lists the tags, and the text without them."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.open, self.text = [], [], ""
        self.feed(source)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("part", [Text(NASTY), Code(NASTY), Steps((NASTY,)), Facts(((NASTY, NASTY),))],
                         ids=lambda part: type(part).__name__)
def test_every_part_is_escaped(part):
    page = Tags(html(Card("wrong", NASTY, (part,), NASTY)))
    assert not {"script", "img"} & set(page.tags)
    assert page.text.count(NASTY) >= 2


def test_what_a_reader_prints_returns_or_raises_is_escaped():
    def returns(pfn, order):
        print(NASTY)
        return NASTY

    def raises(pfn, order):
        raise ValueError(NASTY)

    for answer in (returns, raises, NASTY, [NASTY], {NASTY: 1}):
        assert not {"script", "img"} & set(Tags(ex.buddy_of.check(answer)._repr_html_()).tags)
        assert not {"script", "img"} & set(Tags(ex.get_order.check(answer)._repr_html_()).tags)


def test_backticks_are_code_in_html_and_stay_in_text():
    card = Card("right", "`a`", (Text("try `b < c`"),))
    assert Tags(html(card)).tags.count("code") == 2
    assert "b &lt; c" in html(card)
    assert plain(card) == "`a`\n  try `b < c`"


def test_each_outcome_has_its_own_colour_and_name():
    assert len(set(ACCENT.values())) == len(ACCENT) == 4
    for tone in ACCENT:
        assert f'data-outcome="{tone}"' in html(Card(tone, "", ()))


def test_nothing_in_a_card_asks_for_anything_from_elsewhere():
    page = ex.buddy_of.check(lambda pfn, order: (1, 0))._repr_html_()
    assert not any(word in page for word in ("http", "url(", "src=", "href=", "<style", "<script"))


def test_text_is_wrapped_and_lines_up():
    card = Card("wrong", "Not right", (Text("word " * 40), Facts((("for", "pfn = 1"), ("expected", "2")))))
    lines = plain(card).splitlines()
    assert max(map(len, lines)) <= 90
    assert lines[-2:] == ["  for       pfn = 1", "  expected  2"]

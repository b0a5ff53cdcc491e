"""The choosing lab: the decision, and the call that follows from it."""

from itertools import product

import pytest

from kmm_sim.labs import choose_lab
from kmm_sim.labs.choose import QUESTIONS, WORDS, ChooseLab, Need, decide, parse
from kmm_sim.observe import validate


@pytest.mark.parametrize(("need", "interface"), [
    (Need(24), "kmalloc"), (Need(8192), "kmalloc"), (Need(8193), "kvmalloc"),
    (Need(8193, contiguous=True), "alloc_pages_exact"), (Need(40, many=True), "kmem_cache"),
    (Need(8, percpu=True), "alloc_percpu"), (Need(64, device=True), "dma_alloc_coherent"),
    (Need(256, guaranteed=True), "mempool"), (Need(200_000, atomic=True), "kmalloc"),
    (Need(9000, many=True), "kvmalloc"),
    (Need(100, contiguous=True), "kmalloc"), (Need(8, percpu=True, device=True, guaranteed=True), "alloc_percpu"),
])
def test_the_first_question_with_a_yes_decides(need, interface):
    decision = decide(need)
    assert decision.interface == interface
    assert [answer.question for answer in decision.answers] == list(QUESTIONS[: len(decision.answers)])
    assert [answer.decides for answer in decision.answers] == [False] * (len(decision.answers) - 1) + [True]


def test_who_cannot_sleep_is_given_no_mask_that_may():
    for flags in product((False, True), repeat=5):
        for size in (8, 5000, 100_000):
            decision = decide(Need(size, *flags, atomic=True))
            assert "GFP_KERNEL" not in decision.call


@pytest.mark.parametrize("size", [1, 700, 8193])
def test_every_decision_can_be_made_on_the_machine(size):
    run = choose_lab("").run
    for flags in product((False, True), repeat=6):
        words = [word for word, flag in zip(WORDS, flags, strict=True) if flag]
        run.make(run.lab.read({"do": "choose", "size": size, "need": words}))
        validate(run.machine.machine)
        made = run.machine.made
        assert made.address == 0 or made.room >= size
        assert made.address == 0 or made.pfns


def test_the_recorded_needs_show_every_way_it_can_end():
    run = choose_lab().run
    told = " ".join(frame[0][2] for frame in run.frames)
    for words in ("kmalloc(24", "kmem_cache_alloc", "5 pages in a row", "49 pages, scattered", "dma_alloc_coherent",
                  "__alloc_percpu", "mempool_alloc", "It gives NULL"):
        assert words in told


def test_what_kvmalloc_gives_here_lies_scattered_and_is_drawn():
    run = choose_lab("200000").run
    mine = [key for key, node in run.scene.items() if node.get("kind") == "Y"]
    assert len(mine) == 49
    assert run.scene["r:row"]["mark"] == "no"


@pytest.mark.parametrize("action", [
    {"do": "choose", "size": 0, "need": []}, {"do": "choose", "size": 1 << 21, "need": []},
    {"do": "choose", "size": "8"},
    {"do": "choose", "size": 8, "need": ["magic"]}, {"do": "sleep"}, {"do": "choose", "size": True},
])
def test_what_is_no_need_is_refused(action):
    with pytest.raises(ValueError, match=r"."):
        ChooseLab().read(action)


def test_the_question_is_which_call_and_does_not_give_it_away():
    for frame in choose_lab().frames:
        text, options, answer, hides = frame[4]
        assert hides
        assert options[answer] == frame[2].partition("(")[0] + "()"
        assert "kmalloc()" in options, "what one thinks of first"
        assert len(options) == 4
        assert frame[0][2].startswith(text.partition(". ")[0])


def test_a_frame_has_in_the_sentence_the_number_that_it_has_in_the_trace():
    _name, log, says = choose_lab("24").frames[0][0]
    assert "pfn=0x1f9 " in log
    assert "pfn 505 (0x1f9)" in says


def test_a_script_of_needs_is_read():
    assert parse("24; 40 many alike; 65536 device, cannot sleep") == (
        Need(24), Need(40, many=True), Need(65536, device=True, atomic=True))
    with pytest.raises(ValueError, match="number of bytes"):
        parse("many alike")

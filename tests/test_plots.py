"""The pictures of matplotlib: samples in, axes out, and nothing else drawn."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pytest

from kmm_sim import Machine
from kmm_sim.observe.curves import sample
from kmm_sim.plots import fragmentation, free_pages, slab_use, waste
from kmm_sim.workload import Workload, everyday


@pytest.fixture(scope="module")
def samples():
    machine = Machine(memory="32 MiB", trace=False)
    workload = Workload(everyday(machine), seed=1)
    return [sample(machine, second) for second in workload.seconds(machine, 20)]


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


def test_the_layers_of_free_pages_add_up(samples, ax):
    assert free_pages(samples, ax) is ax
    top = ax.collections[-1].get_paths()[0].vertices[:, 1].max()
    assert top == max(each.free_pages for each in samples)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["order 0", "1 to 3", "4 to 8", "9 and 10"]


def test_fragmentation_is_a_percentage_of_one_order(samples, ax):
    line = fragmentation(samples, ax, order=9).lines[0]
    assert list(line.get_ydata()) == pytest.approx([100 * each.unusable(9) for each in samples])
    assert "512 pages" in ax.get_title()


def test_slabs_hold_at_least_what_objects_use(samples, ax):
    total, active = slab_use(samples, ax).lines
    assert all(all_ >= used for all_, used in zip(total.get_ydata(), active.get_ydata(), strict=True))


def test_waste_is_nothing_at_a_class_and_half_above_it(ax):
    assert list(waste([512, 513, 96], ax).lines[0].get_ydata()) == pytest.approx([0, 100 * 511 / 1024, 0])

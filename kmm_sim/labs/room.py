# SPDX-License-Identifier: GPL-2.0-only
"""How much room a bench takes, for a page to keep it free before the bench is drawn.

The numbers are CSS pixels, and go with static/bench.css; a test in a browser compares them
with what is drawn.  A few pixels more or less do no harm.
"""

from __future__ import annotations

from kmm_sim.labs.scene import Cells, Line, Lists, Scene, Stage

__all__ = ["room"]

WIDE, NARROW = 497, 702  # what has the same height in every lab: the calls, the timeline, the trace
LINE = 70  # a panel of one line
CAPTION = 36


def room(scene: Scene) -> list[int]:
    """Return the height of a bench in a column of 690 pixels, and on a phone 360 wide."""
    stage = scene[""]
    assert isinstance(stage, Stage)
    panels = [scene[key] for key in stage.panels]
    cells = [_rows(panel) for panel in panels if isinstance(panel, Cells)]
    lists = [len(panel.lists) + 1 for panel in panels if isinstance(panel, Lists)]
    same = LINE * sum(isinstance(panel, Line) for panel in panels) + CAPTION * bool(stage.caption)
    pairs = zip(cells, lists, strict=True)
    wide = sum(max(53 + height, 28 + 28 * rows) for height, rows in pairs) + 18 * (len(cells) - 1)
    narrow = sum(72 + height for height in cells) + sum(28 + 30 * rows for rows in lists)
    return [WIDE + same + wide, NARROW + same + narrow + 18 * (len(cells) + len(lists) - 1)]


def _rows(cells: Cells) -> int:
    """Return the height of a panel's rows, as rowHeight() in static/cells.js gives it."""
    rows = -(-(cells.start + cells.count) // cells.columns) - cells.start // cells.columns
    if cells.columns > 8:
        return rows * (22 if cells.columns > 16 else 32)
    return rows * (37 if rows > 4 else 48 if rows > 2 else 62)

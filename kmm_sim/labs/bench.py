# SPDX-License-Identifier: GPL-2.0-only
"""The bench: the one widget on which every lab is drawn.

The browser gets the scene at the start and a patch for each event after it; it draws, and
steps through them, and never simulates.  All of that is in the traits, so what was saved
with a page or a notebook can be drawn and played with no Python at all.

Frames that come later travel as messages of their own, for a trait would send all frames
again.  Both ends add them to the trait's value in place, so that it stays the whole truth.
A phrase travels with the first thing that says it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import anywidget
import traitlets

from kmm_sim.errors import KernelError
from kmm_sim.labs.opening import Opening
from kmm_sim.labs.phrases import BENCH, PHRASES
from kmm_sim.labs.run import Run

__all__ = ["Bench"]

# Each uses only what stands before it.
MODULES = (
    "phrases.js",
    "scene.js",
    "sheet.js",
    "link.js",
    "export.js",
    "permalink.js",
    "predict.js",
    "cells.js",
    "lists.js",
    "line.js",
    "roving.js",
    "table.js",
    "shelves.js",
    "flow.js",
    "bytes.js",
    "plot.js",
    "map.js",
    "calls.js",
    "timeline.js",
    "steady.js",
    "bench.js",
)
OF_PANELS = {name for name in BENCH if name.startswith(("map.", "plot.", "bytes."))}  # needed where they are


def _source(name: str) -> str:
    return files("kmm_sim.labs").joinpath("static", name).read_text(encoding="utf-8")


TIES = re.compile(r"^import .*\n|^export (?!default)|\(await import\([^)]*\)\)\.", re.MULTILINE)


def _bundle() -> str:
    """Return the modules as the single one that a widget may have: without what ties them together.

    Its first line names the source.  A site is built from that, so that a page loads only the panels it has.
    """
    return "// joined from kmm_sim/labs/static/bench.js\n" + TIES.sub("", "".join(map(_source, MODULES)))


class Bench(anywidget.AnyWidget):
    """A lab on the screen: ``run`` is what it shows, and what the reader's actions go to.

    ``opening`` says what it can be opened anew with; ``link`` is what it opens with, as "Copy link"
    gave it.  A link that is none is told in the lab, which then opens as it always does.
    """

    _esm = _bundle()
    _css = _source("bench.css")
    phrases = traitlets.Dict().tag(sync=True)
    scene = traitlets.Dict().tag(sync=True)
    frames: traitlets.List[Any] = traitlets.List().tag(sync=True)
    about = traitlets.Dict().tag(sync=True)  # name, settings; "at" or "error" if it was opened with a link
    _room: traitlets.List[int] = traitlets.List().tag(sync=True)  # its height in a wide column and on a phone

    def __init__(self, run: Run, opening: Opening | None = None, link: str = "") -> None:
        self.opening = opening or Opening(type(run.lab).__name__.removesuffix("Lab").lower())
        opened: dict[str, Any] = {}
        if link:
            try:
                self.opening, run, read = self.opening.followed(link, run)
                opened = {"at": len(run.frames) if read.at is None else min(read.at, len(run.frames))}
            except (KernelError, ValueError, TypeError) as error:
                opened = {"error": str(error)}
        self.run = run
        self._unsaid = {**PHRASES, **run.lab.phrases}
        super().__init__(
            phrases=self._take_phrases(tuple(BENCH.keys() - OF_PANELS), run.start, run.frames),
            scene=dict(run.start),  # its own: _show_anew() empties it
            frames=list(run.frames),
            about=self._about() | opened,
            _room=run.measured(),
        )
        self.on_msg(self._on_message)

    def __repr__(self) -> str:
        return f"<lab on {self.run.machine!r}, {len(self.frames)} events to play>"

    def refresh(self) -> None:
        """Show what was done to the machine elsewhere, in a cell for example."""
        self.send(self._news(self.run.catch_up()))

    def _on_message(self, _widget: object, message: dict[str, Any], _buffers: object) -> None:
        """Answer one action of the reader's; whatever comes of it, there is an answer."""
        answer: dict[str, Any] = {"done": message.get("id")}
        try:
            answer |= self._act(message.get("action") or {})
        except (KernelError, ValueError, TypeError) as error:
            answer |= self._news() | {"error": str(error)}
        except Exception as error:
            self.send(answer | {"error": f"{type(error).__name__}: {error}"})
            raise
        self.send(answer)

    def _act(self, action: dict[str, Any]) -> dict[str, Any]:
        match action.get("do"):
            case "hello":
                return self._news(self.run.catch_up())
            case "reset":
                return self._news(self.run.reset())
            case "set":
                opening = self.opening.changed(action.get("settings") or {})
                return self._show_anew(opening, opening.run()) | {"at": 0}
            case "open":
                opening, run, link = self.opening.followed(str(action.get("link") or ""), self.run)
                at = len(run.frames) if link.at is None else link.at
                return self._show_anew(opening, run) | {"at": min(at, len(run.frames))}
        return self._news(self.run.make(self.run.lab.read(action), action.get("at"), action=action))

    def _about(self) -> dict[str, Any]:
        return {"name": self.opening.name, "settings": dict(self.opening.settings)}

    def _show_anew(self, opening: Opening, run: Run) -> dict[str, Any]:
        """Take another run for this one; return all that the browser needs for it."""
        self.opening, self.run = opening, run
        for mine, new in ((self.scene, run.start), (self.about, self._about())):
            mine.clear()
            mine.update(new)
        return {"scene": run.start, "about": self._about(), **self._news(0, run.start)}

    def _news(self, kept: int | None = None, scene: Any = ()) -> dict[str, Any]:
        """Take over the run's frames, of which the first ``kept`` stand; return what the browser needs for that.

        ``scene`` is one that it is sent besides.
        """
        kept = len(self.frames) if kept is None else min(kept, len(self.frames))
        new = self.run.frames[kept:]
        self.frames[kept:] = new
        phrases = self._take_phrases(scene, new)
        self.phrases.update(phrases)
        return {"keep": kept, "frames": new} | ({"phrases": phrases} if phrases else {})

    def _take_phrases(self, *told: Any) -> dict[str, str]:
        """Return the phrases that are said somewhere in these, and have not travelled yet."""
        said = set(_names(told))
        said |= {f"{how}.{name}" for name in said for how in ("says", "log")}  # if it is an event's
        return {name: self._unsaid.pop(name) for name in list(self._unsaid) if name in said}


def _names(told: Any) -> Iterator[str]:
    """Yield every string that stands in a list, as the names of phrases do, and what the script of a panel says."""
    if isinstance(told, dict):
        yield from (name for name in OF_PANELS if name.partition(".")[0] == told.get("panel"))
        told = [each for each in told.values() if not isinstance(each, str)]
    if isinstance(told, list | tuple):
        for each in told:
            if isinstance(each, str):
                yield each
            else:
                yield from _names(each)

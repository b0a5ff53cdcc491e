# SPDX-License-Identifier: GPL-2.0-only
"""``python -m kmm_sim``: what one does with the simulator from a shell."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kmm_sim import __version__
from kmm_sim.exercises import CHAPTERS
from kmm_sim.grade.grading import Grade, fresh_seed, grade, write_csv, write_report
from kmm_sim.recording import RecordingError, Result, Tally, check

__all__ = ["main"]

EPILOG = """\
examples:
  python -m kmm_sim replay tests/data/*.gz      how true is the simulator?
  python -m kmm_sim grade *.ipynb --csv marks.csv --report reports
  python -m kmm_sim replay --help
"""


if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return 0, or 1 if there was a difference, or 2 if a file is no good."""
    parser = _parser()
    options = parser.parse_args(argv)
    return int(options.run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m kmm_sim",
        description="A simulator of how the Linux kernel manages memory.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"kmm_sim {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    replay = commands.add_parser(
        "replay",
        help="replay recordings of a real kernel and say how much is the same",
        description=(
            "Replay recordings of a real kernel against the simulator. Prints a line for each "
            "recording (requests, same page frame number, first difference) and a total. "
            "Sections recorded with interrupts on are shown, but do not count: reclaim could "
            "run beside them."
        ),
        epilog="exit status: 0 all the same; 1 some difference; 2 a file that cannot be read.",
    )
    replay.add_argument("files", nargs="+", type=Path, metavar="FILE", help=".jsonl, .json, or either with .gz")
    replay.set_defaults(run=_replay)
    _add_grade(commands)
    return parser


def _add_grade(commands: Commands) -> None:
    grade = commands.add_parser(
        "grade",
        help="grade notebooks that were handed in",
        description=(
            "Run notebooks that were handed in, each in processes of its own with limits, and check their answers "
            "from outside, with hidden seeds. Prints a line for each notebook. A notebook that is broken, hostile "
            "or without an end costs itself only."
        ),
        epilog="exit status: 0 all notebooks were graded; 1 some could not be.",
    )
    grade.add_argument("notebooks", nargs="+", type=Path, metavar="NOTEBOOK", help=".ipynb, or MyST Markdown (.md)")
    grade.add_argument("--seed", type=int, help="choose the hidden cases, so that grading can be repeated")
    grade.add_argument("--csv", type=Path, metavar="FILE", help="write a line for each notebook")
    grade.add_argument("--report", type=Path, metavar="DIR", help="write a report for each notebook")
    grade.add_argument("--chapter", action="append", default=[], metavar="NAME", choices=CHAPTERS,
                       help="grade the exercises of this chapter (again for more); else those of the chapters that a "
                            "notebook imports")
    grade.add_argument("--timeout", type=float, default=120, metavar="SECONDS", help="for each notebook (120)")
    grade.add_argument("--memory", type=int, default=1024, metavar="MIB", help="for each notebook (1024)")
    grade.add_argument("--jobs", type=int, default=0, metavar="N", help="notebooks at a time (as many as processors)")
    grade.set_defaults(run=_grade)


def _grade(options: argparse.Namespace) -> int:
    if options.timeout <= 0 or options.memory < 128:
        print("error: a notebook needs some time, and 128 MiB at least", file=sys.stderr)
        return 2
    seed = fresh_seed() if options.seed is None else options.seed
    grades = grade(options.notebooks, seed=seed, timeout=options.timeout, memory=options.memory,
                   chapters=options.chapter, jobs=options.jobs, done=_print_grade)
    if options.csv:
        with open(options.csv, "w", newline="", encoding="utf-8") as file:
            write_csv(grades, file)
    if options.report:
        taken: set[str] = set()
        for each in grades:
            write_report(each, options.report, taken)
    print(f"{len(grades)} notebooks, seed {seed}")
    unfenced = [each for each in grades if each.status == "ok" and len(each.fence) < 2]
    if unfenced:
        print(f"warning: {len(unfenced)} of them ran without a whole fence (seccomp and Landlock)", file=sys.stderr)
    return 0 if all(each.status == "ok" for each in grades) else 1


def _print_grade(each: Grade) -> None:
    status = "" if each.status == "ok" else f"{each.status}: "
    why = "" if each.outcomes else f"  {status}{each.notes[-1] if each.notes else ''}"
    print(f"{each.path}: {each.right} of {len(each.outcomes)} right, {each.attempted} attempted{why}", flush=True)


def _replay(options: argparse.Namespace) -> int:
    results: list[Result] = []
    unreadable = 0
    for path in options.files:
        try:
            found = check(path)
        except RecordingError as error:
            print(f"error: {error}", file=sys.stderr)
            unreadable += 1
            continue
        for result in found:
            print(result, flush=True)
        results += found
    counted = [result for result in results if not result.interrupts_on]
    if results:
        print(_total(counted))
    if unreadable:
        return 2
    return 0 if all(result.exact for result in counted) else 1


def _total(results: Sequence[Result]) -> Result:
    """Add up; sections with interrupts on are not in it."""
    total = Result(f"total of {len(results)}", "total")
    for result in results:
        for what, tally in result.tallies.items():
            sum_ = total.tallies.setdefault(what, Tally())
            sum_.total += tally.total
            sum_.same += tally.same
        if total.first_difference is None and result.first_difference is not None:
            total.first_difference = f"{result.name}, {result.first_difference}"
    return total


if __name__ == "__main__":
    sys.exit(main())

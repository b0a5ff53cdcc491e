# SPDX-License-Identifier: GPL-2.0-only
"""``python -m kmm_sim``: what one does with the simulator from a shell."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from kmm_sim import __version__
from kmm_sim.recording import RecordingError, Result, Tally, check

__all__ = ["main"]

EPILOG = """\
examples:
  python -m kmm_sim replay tests/data/*.gz      how true is the simulator?
  python -m kmm_sim replay --help
"""


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
    return parser


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

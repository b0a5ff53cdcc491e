# SPDX-License-Identifier: GPL-2.0-only
"""What can go wrong while the live page is made, said so that one knows what to do."""

from sphinx.errors import SphinxError


class LiveBuildError(SphinxError):
    """A step of making the live page failed."""

    category = "The live page could not be made"

    def __init__(self, did: str, expected: str, advice: str, output: str = "") -> None:
        parts = [f"What was done: {did}", f"What was expected: {expected}", f"What to do: {advice}"]
        if output.strip():
            parts.append("It said:\n" + output.strip()[-4000:])
        super().__init__("\n".join(parts))

# SPDX-License-Identifier: GPL-2.0-only
"""The words of the exercises, ready to be translated.

Every sentence that a reader sees stands where it belongs, wrapped in ``_()``; values are
put in with ``.format()``, so that a sentence reaches the translator whole.  One gettext
domain, ``kmm_sim``, collects them all:

    xgettext --from-code=utf-8 -k_ -o kmm_sim.pot kmm_sim/exercises/*.py

A translation goes to ``kmm_sim/locale/LANGUAGE/LC_MESSAGES/kmm_sim.mo`` and is chosen by
the environment (``LANGUAGE``, ``LANG``) when the package is imported.
"""

import gettext
from pathlib import Path

__all__ = ["DOMAIN", "_", "plural"]

DOMAIN = "kmm_sim"
_translation = gettext.translation(DOMAIN, Path(__file__).parents[1] / "locale", fallback=True)

_ = _translation.gettext
plural = _translation.ngettext

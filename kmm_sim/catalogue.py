# SPDX-License-Identifier: GPL-2.0-only
"""The words that a reader sees, in labs and in exercises, ready to be translated.

    _("pfn {pfn:#x} goes to the head of order {order}'s list.", pfn=pfn, order=order)
    ngettext("{n} page is free.", "{n} pages are free.", free)

A sentence stands where it belongs, whole, with gaps as ``str.format`` has them; the values follow it.
``make pot`` collects all sentences; those without a translation are as they stand, in English.

A translation is ``locale/LANGUAGE/LC_MESSAGES/kmm_sim.mo`` beside this file.  The environment variable
KMM_LANGUAGE, read when this module is imported, names the language; or ``use("zh_TW")`` does,
before the labs and the exercises are imported, for they take most of their words only once.

What the kernel says is nobody's to translate: its names, its code, the lines of its traces and reports.
"""

from __future__ import annotations

import gettext
import os
import sys
from pathlib import Path

__all__ = ["DOMAIN", "_", "ngettext", "use"]

DOMAIN = "kmm_sim"
LOCALE = Path(__file__).parent / "locale"
SPEAKERS = ("kmm_sim.labs", "kmm_sim.exercises")

_spoken = gettext.translation(DOMAIN, LOCALE, [os.environ.get("KMM_LANGUAGE", "en")], fallback=True)


def use(language: str, folder: Path = LOCALE) -> None:
    """Let labs and exercises speak a language, such as "zh_TW"; English where there is no translation in ``folder``.

    Raises RuntimeError if labs or exercises are imported already.
    """
    global _spoken
    if late := [name for name in SPEAKERS if name in sys.modules]:
        raise RuntimeError(f"{late[0]} speaks a language already: choose it before the import, or set KMM_LANGUAGE")
    _spoken = gettext.translation(DOMAIN, folder, [language], fallback=True)


def _(text: str, **gaps: object) -> str:
    """Return a text in the language of the reader, with its gaps filled."""
    said = _spoken.gettext(text)
    return said.format(**gaps) if gaps else said


def ngettext(one: str, many: str, n: int, **gaps: object) -> str:
    """Return the one of two texts (in other languages, of more) that goes with ``n``, which is a gap in it too."""
    return _spoken.ngettext(one, many, n).format(n=n, **gaps)

# SPDX-License-Identifier: GPL-2.0-only
"""What Python compiles at every start, compiled once: run at build time, after boot.py has imported it."""

import importlib.util
import marshal
import sys

UNCHECKED = (1).to_bytes(4, "little")  # "by its hash, and need not be compared with its source"


def compiled(library, standard):
    """The bytecode of every module that is imported now, by the path of a .pyc file in place of its source.

    ``library`` is the folder of our packages, ``standard`` the zip file of the standard library.
    """
    sources = {getattr(module.__spec__, "origin", None): module for module in sys.modules.values()
               if getattr(module, "__spec__", None)}
    return {f"{source}c": bytecode(module, source) for source, module in sources.items()
            if source and source.startswith((f"{library}/", f"{standard}/")) and source.endswith(".py")}


def bytecode(module, source):
    """What a .pyc file holds."""
    text = module.__spec__.loader.get_data(source)
    code = compile(text, source, "exec", dont_inherit=True)
    return importlib.util.MAGIC_NUMBER + UNCHECKED + importlib.util.source_hash(text) + marshal.dumps(code)

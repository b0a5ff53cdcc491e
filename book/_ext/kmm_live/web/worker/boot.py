# SPDX-License-Identifier: GPL-2.0-only
"""Start the kernel of the page.

Run in the reader's browser, or once at build time, when the memory it leaves behind is kept and shipped.
"""

import importlib
import os
import sys
import types


def boot(preload=(), frozen=False, language="en"):
    """Start the kernel and import ``preload``; ``frozen``: this memory will be kept.  kmm_sim speaks ``language``."""
    os.environ["KMM_LANGUAGE"] = language  # kmm_sim reads it when it is imported
    stand_in("IPython.terminal.embed", embed=None, InteractiveShellEmbed=object)  # there is no terminal
    javascript = sys.modules.get("pyodide_js")
    stand_in("pyodide_js", loadPackagesFromImports=nothing_to_load)  # objects of JavaScript cannot be kept
    import pyodide_kernel

    sys.modules.pop("pyodide_js")
    if javascript is not None:
        sys.modules["pyodide_js"] = javascript
    pyodide_kernel.ipython_shell.Completer.use_jedi = False
    for name in preload:
        importlib.import_module(name)
    if frozen:
        warm(pyodide_kernel.ipython_shell)
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__


def resume():
    """Go on from a kept memory: files are not in it, and its random numbers are everybody's."""
    import random

    import pyodide_kernel

    importlib.invalidate_caches()
    random.seed()
    sys.stdout, sys.stderr = pyodide_kernel.stdout_stream, pyodide_kernel.stderr_stream


def ready():
    """What both ways end with."""
    import builtins
    import getpass

    os.makedirs("/home/pyodide", exist_ok=True)
    os.chdir("/home/pyodide")
    builtins.input = getpass.getpass = no_input


def warm(shell):
    """Take the paths that a first cell takes, so that the reader's first one need not."""
    shell.run_cell("1 + 1", store_history=False)
    shell.run_cell("%who", silent=True, store_history=False)
    import ast, asyncio, decimal, gc, inspect, linecache, random, traceback  # noqa: E401, F401, I001
    import IPython.core.ultratb  # noqa: F401

    shell.execution_count = 1
    for name in ("_", "__", "___"):
        shell.user_ns.pop(name, None)
    gc.collect()


def stand_in(name, **members):
    """A module of this name that holds only these members."""
    module = types.ModuleType(name)
    vars(module).update(members)
    sys.modules[name] = module


async def nothing_to_load(code):
    """All packages the page has are there from the start."""


def no_input(prompt=""):
    """There is no keyboard behind a page's Python that could wait."""
    from kmm_sim.catalogue import _

    raise RuntimeError(_("input() cannot wait for you in this page: write the value into the cell instead"))

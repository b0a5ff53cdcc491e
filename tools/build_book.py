# SPDX-License-Identifier: GPL-2.0-only
"""Run jupyter-book, a second sooner: `python tools/build_book.py build .` is `jupyter-book build .`.

jsonschema, which jupyter-book asks whether _config.yml is sound, loads rfc3987_syntax where it is installed, and that
compiles 38 grammars to check internationalised addresses.  There are none in _config.yml.
"""

import sys

sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]  # "not installed"

from jupyter_book.cli.main import main  # noqa: E402

sys.exit(main())

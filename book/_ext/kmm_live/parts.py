# SPDX-License-Identifier: GPL-2.0-only
"""Cut the labs' script into parts, so that a page loads no panel that none of its labs has.

A widget has one script, and so has a notebook: the modules of kmm_sim/labs/static joined, as its first line says.  A
site can do better.  The file of that script becomes what bench.js alone is, and the modules that it fetches when a
scene has such a panel stand beside it.  A page asks for those of its labs while it is still being read.
"""

import json
import re
import shutil
from pathlib import Path

from . import node
from .mend import pages_of, top_of
from .stages import stage

TOOL = Path(__file__).parent / "web/slim.mjs"
FOLDER = "_static/live/modules"
JOINED = re.compile(r"// joined from (\S+)\n")
FETCHED = re.compile(r'(\w+): async \(\) => \(await import\("\./(\w+\.js)"\)\)')  # a panel, and the module that has it
PANEL = re.compile(r'"panel":"(\w+)"')  # in the saved state of a page's labs


def cut_labs(site: Path, root: Path, modules: Path, cache: Path) -> None:
    """Do it to the site, whose sources are below ``root``; ``modules`` are the JavaScript packages."""
    for file in sorted((site / FOLDER).glob("*.js")):
        if joined := JOINED.match(file.read_text(encoding="utf-8")):
            source = root / joined[1]
            parts = stage(cache / "parts", "cutting the labs' script into parts", [TOOL, file.name, source.parent],
                          lambda out, file=file, source=source: cut(source, out / file.name, modules))
            for part in parts.glob("*.js"):
                shutil.copy(part, site / FOLDER)
    for made in cache.glob("parts/part.json"):
        needs = json.loads(made.read_text(encoding="utf-8"))
        for page in pages_of(site):
            ask_early(page, needs)


def cut(source: Path, target: Path, modules: Path) -> None:
    """Write the script as ``target`` and its parts beside it, and into part.json what each panel needs of them."""
    node.run_node(TOOL, modules, "--split", source, target, expected="esbuild to cut the labs' script into parts")
    outputs = json.loads((target.parent / "outputs.json").read_text(encoding="utf-8"))
    made = {Path(output["entryPoint"]).name: name for name, output in outputs.items() if output.get("entryPoint")}

    def with_imports(name: str) -> set[str]:
        now = [each["path"] for each in outputs[name]["imports"] if each["kind"] == "import-statement"]
        return {name}.union(*map(with_imports, now))

    kinds = dict(FETCHED.findall(source.read_text(encoding="utf-8")))
    needs = {"": with_imports(target.name), **{kind: with_imports(made[module]) for kind, module in kinds.items()}}
    text = json.dumps({kind: sorted(names) for kind, names in needs.items()})
    (target.parent / "part.json").write_text(text, encoding="utf-8")


def ask_early(page: Path, needs: dict[str, list[str]]) -> None:
    """Let a page with labs ask for their parts before its scripts run."""
    text = page.read_text(encoding="utf-8")
    kinds = set(PANEL.findall(text))
    if not kinds or 'rel="modulepreload"' in text:
        return
    top = top_of(text)
    names = sorted({name for kind in ("", *kinds) for name in needs[kind]})
    links = "".join(f'    <link rel="modulepreload" href="{top}{FOLDER}/{name}" />\n' for name in names)
    page.write_text(text.replace("</head>", links + "  </head>", 1), encoding="utf-8")

# SPDX-License-Identifier: GPL-2.0-only
"""Make everything the live page loads, in a cache folder, and only what changed.

    node_modules   what package-lock.json names                      <- package-lock.json
    pyodide        Python for the browser                            <- its npm package
    packages       IPython, ipywidgets, anywidget ... in one archive <- the versions installed here, boot.py,
                   and the standard library                             what Pyodide brings
    sources        kmm_sim in one archive                            <- kmm_sim/
    snapshot       Python's memory with all of that imported         <- the three above
    scripts        our JavaScript, bundled                           <- web/

A file whose name holds a hash never changes, so a browser may keep it for ever; `manifest.json` says which of them
belong together.
"""

import gzip
import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from . import node, packages
from .errors import LiveBuildError
from .stages import files_in, put_named, read_manifest, stage, write_manifest

WEB = Path(__file__).parent / "web"
BOOT = WEB / "worker/boot.py"
WORDS = WEB.parents[1] / "kmm_words/static"
BYTECODE = (WEB / "bytecode.mjs", WEB / "bytecode.py", WEB / "worker/files.js")
PYODIDE_FILES = ("pyodide.mjs", "pyodide.asm.mjs")


@dataclass(frozen=True)
class Assets:
    """The folders that together are the site's ``_static/live``, and what is in them."""

    folders: tuple[Path, ...]
    manifest: dict
    node_modules: Path

    def files(self) -> dict[str, Path]:
        """Every file by its name in the site."""
        return {file.relative_to(folder).as_posix(): file for folder in self.folders for file in files_in(folder)
                if file.name not in (".made-from", "part.json")}

    def unchanging(self) -> set[str]:
        """The names of those files whose name says what is in them."""
        named = {each["name"] for each in self.manifest["files"].values()} | set(self.manifest["scripts"])
        return {name for name in self.files() if name in named or name.startswith(self.manifest["pyodide"])}

    def copy(self, target: Path, keep: str) -> None:
        """Make ``target`` hold these files and no older ones; its folder ``keep`` is somebody else's."""
        target.mkdir(parents=True, exist_ok=True)
        for name, file in self.files().items():
            copy_if_new(file, target / name)
        (target / "manifest.json").write_text(json.dumps(self.manifest), encoding="utf-8")
        wanted = {*self.files(), "manifest.json"}
        for file in files_in(target):
            name = file.relative_to(target).as_posix()
            if name not in wanted and not name.startswith(f"{keep}/"):
                file.unlink()


def copy_if_new(file: Path, target: Path) -> None:
    """Copy a file unless the same one is there; its time goes with it."""
    is_, was = file.stat(), target.stat() if target.is_file() else None
    if was is None or (was.st_size, was.st_mtime_ns) != (is_.st_size, is_.st_mtime_ns):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, target)


def make_assets(cache: Path, package: Path, preload: list[str], language: str) -> Assets:
    """Bring everything in ``cache`` up to date.

    ``package`` is the folder of the Python package that the page runs, ``preload`` the modules that the memory
    snapshot holds already imported, ``language`` the one that they speak.
    """
    lock = [WEB / "package.json", WEB / "package-lock.json"]
    npm = stage(cache / "npm", "installing the JavaScript packages (once)", lock, install_packages)
    modules = npm / "node_modules"
    pyodide = stage(cache / "pyodide", "preparing Python for the browser", lock,
                    lambda out: make_pyodide(modules, out))
    libraries = stage(cache / "packages", "packing IPython and the widgets",
                      [packages.versions(), Path(packages.__file__), BOOT, *BYTECODE, *lock],
                      lambda out: make_packages(modules, out))
    sources = stage(cache / "sources", f"packing {package.name}", [package, Path(packages.__file__)],
                    lambda out: make_sources(package, out))
    parts = [pyodide, libraries, sources]
    snapshot = stage(cache / "snapshot", "starting Python once and keeping its memory",
                     [WEB / "snapshot.mjs", WEB / "worker/files.js", *preload, language,
                      *(folder / ".made-from" for folder in parts)],
                     lambda out: make_snapshot(modules, parts, preload, language, out))
    scripts = stage(cache / "scripts", "bundling the page's scripts", [WEB, WORDS],
                    lambda out: make_scripts(modules, out))
    return gather([pyodide, libraries, sources, snapshot, scripts], modules, language)


def gather(folders: list[Path], modules: Path, language: str) -> Assets:
    """One manifest of what the stages made."""
    manifest: dict = {"language": language, "files": {}}
    for folder in folders:
        part = read_manifest(folder)
        for each in part.get("files", {}).values():
            each["sha256"] = hashlib.sha256((folder / each["name"]).read_bytes()).hexdigest()
        manifest["files"] |= part.pop("files", {})
        manifest |= part
    return Assets(tuple(folders), manifest, modules)


def install_packages(out: Path) -> None:
    """The JavaScript packages, as package-lock.json pins them."""
    for name in ("package.json", "package-lock.json"):
        shutil.copy(WEB / name, out)
    node.install(out)


def make_pyodide(modules: Path, out: Path) -> None:
    """Pyodide's own files in a folder named for its version; its program compressed, since not every host does it."""
    version = json.loads((modules / "pyodide/package.json").read_text(encoding="utf-8"))["version"]
    home = out / f"pyodide-{version}"
    home.mkdir()
    for name in PYODIDE_FILES:
        shutil.copy(modules / "pyodide" / name, home)
    lock = json.loads((modules / "pyodide/pyodide-lock.json").read_text(encoding="utf-8"))
    lock["packages"] = {}  # the page has its packages in one zip of its own and asks no package index
    (home / "pyodide-lock.json").write_text(json.dumps(lock), encoding="utf-8")
    wasm = home / "pyodide.asm.wasm.gz"
    wasm.write_bytes(gzip.compress((modules / "pyodide/pyodide.asm.wasm").read_bytes(), 9, mtime=0))
    write_manifest(out, {"pyodide": f"{home.name}/", "files": {
        "wasm": {"name": f"{home.name}/{wasm.name}", "size": wasm.stat().st_size}}})


def make_packages(modules: Path, out: Path) -> None:
    """The page's packages and the standard library.

    What every start imports stands there as bytecode, in place of its source where nobody looks at that: to compile it
    takes two seconds, and both together would be too much to download.
    """
    files = [*packages.installed_files(), *packages.kernel_files(modules), ("kmm_boot.py", BOOT.read_bytes())]
    plain, bytecode = out / "plain.tar.gz", out / "bytecode"
    plain.write_bytes(packages.packed(files))
    node.run_node(WEB / "bytecode.mjs", modules, WEB / "bytecode.py", bytecode, plain,
                  expected="Python to start under Node with the kernel of a page")
    standard = packages.files_in_zip(modules / "pyodide/python_stdlib.zip")
    archive = packages.packed(packages.with_bytecode(files, bytecode / "lib/kmm", packages.INNER))
    stdlib = packages.zipped(packages.with_bytecode(standard, next(bytecode.glob("lib/*.zip"))))
    shutil.rmtree(bytecode)
    plain.unlink()
    write_manifest(out, {"files": {"packages": put_named(archive, out, "packages.tar.gz"),
                                   "stdlib": put_named(stdlib, out, "stdlib.zip")}})


def make_sources(package: Path, out: Path) -> None:
    """The Python package that the page runs, from this source tree."""
    archive = packages.packed(packages.source_files(package))
    write_manifest(out, {"files": {"sources": put_named(archive, out, "sources.tar.gz")}})


def make_snapshot(modules: Path, parts: list[Path], preload: list[str], language: str, out: Path) -> None:
    """Python's memory after boot.py, so that a page need not import all that again.

    This is also the test that the packages in the page work together: if they do not, the build stops here.
    """
    files = {name: folder / each["name"] for folder in parts for name, each in read_manifest(folder)["files"].items()}
    raw = out / "memory.bin"
    node.run_node(WEB / "snapshot.mjs", modules, raw, json.dumps(preload), language,
                  files["stdlib"], files["packages"], files["sources"],
                  expected=f"Python to start under Node and import {', '.join(preload)}")
    if not raw.is_file():
        raise LiveBuildError("started Python under Node and asked for its memory", f"a file {raw}",
                             "remove _build/live and build again")
    part = put_named(gzip.compress(raw.read_bytes(), 9, mtime=0), out, "memory.bin.gz")
    raw.unlink()
    write_manifest(out, {"files": {"memory": part}})


def make_scripts(modules: Path, out: Path) -> None:
    """Our JavaScript and style sheets, bundled."""
    node.run_node(WEB / "bundle.mjs", modules, out, expected="esbuild to bundle the scripts in book/_ext/kmm_live/web")

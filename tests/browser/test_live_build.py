"""How the live page is made: the extension's own steps, and what it leaves in the built site."""

import hashlib
import importlib
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def live(monkeypatch):
    """The extension's modules, as Sphinx imports them."""
    monkeypatch.setattr(sys, "path", [str(ROOT / "book/_ext"), *sys.path])

    def module(name):
        return importlib.import_module(f"kmm_live.{name}")

    return module


def test_the_site_holds_what_its_manifest_names(built_book):
    folder = built_book / "_static/live"
    manifest = json.loads((folder / "manifest.json").read_text())
    for file in manifest["files"].values():
        assert (folder / file["name"]).stat().st_size == file["size"]
    for name in manifest["scripts"]:
        assert (folder / name).is_file()
    assert set(manifest["files"]) == {"wasm", "stdlib", "packages", "sources", "memory"}


def test_the_service_worker_knows_every_file_by_its_size_and_hash(built_book):
    files = json.loads(re.match(r"self\.kmmBuild = (.*);\n", (built_book / "sw.js").read_text())[1])["files"]
    for name, known in files.items():
        content = (built_book / name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (known["size"], known["sha256"]), name
    manifest = json.loads((built_book / "_static/live/manifest.json").read_text())
    python = {file["name"] for file in manifest["files"].values()} | set(manifest["scripts"])
    assert {f"_static/live/{name}" for name in python} < {name for name, known in files.items() if known.get("fixed")}
    pages = {page.relative_to(built_book).as_posix() for page in built_book.rglob("*.html")}
    assert pages < files.keys() | {page for page in pages if page.startswith("_sources")}
    assert {"searchindex.js", "_static/live/live.js", "_static/live/manifest.json", "_static/logo.svg"} < files.keys()


def test_what_nobody_reads_without_a_network_is_not_kept(live, tmp_path):
    for name in ("index.html", "book.pdf", "kernel-memory-book.zip", ".buildinfo", "_static/scripts/all.js.map",
                 "_static/locales/de/words.json", "_sources/index.md", "_static/live/packages.tar.gz"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("something")
    assert live("offline").kept_files(tmp_path, set()).keys() == {"index.html", "_static/live/packages.tar.gz"}


def test_python_comes_in_at_most_ten_megabytes(built_book):
    files = json.loads((built_book / "_static/live/manifest.json").read_text())["files"]
    assert sum(file["size"] for name, file in files.items() if name != "memory") < 9_000_000


def test_a_chapter_holds_no_script_of_a_lab_and_keeps_room_for_it(built_book):
    page = (built_book / "book/getting-pages.html").read_text(encoding="utf-8")
    assert '"_esm":"kmm-live:modules/' in page
    assert "--kmm-live-room-wide" in page
    names = json.loads(re.search(r'id="kmm-live-modules">(.*?)</script>', page)[1])
    for name in names.values():
        assert (built_book / "_static/live" / name).is_file()


def test_no_page_names_another_site_for_a_script_style_font_or_image(built_book):
    loads = re.compile(r'<(?:script|img|iframe|source)[^>]*\ssrc="(https?:)?//[^"]*"'
                       r'|<link[^>]*rel="(?:stylesheet|preload|icon|modulepreload)"[^>]*href="(https?:)?//')
    for page in built_book.rglob("*.html"):
        found = loads.search(page.read_text(encoding="utf-8"))
        assert not found, f"{page.name}: {found[0]}"


def test_only_the_readers_python_is_packed(built_book, live):
    folder = built_book / "_static/live"
    files = json.loads((folder / "manifest.json").read_text())["files"]
    names = []
    for which in ("packages", "sources"):
        with tarfile.open(folder / files[which]["name"]) as archive:
            names += archive.getnames()
    assert "IPython/core/interactiveshell.pyc" in names, "what nobody looks into is compiled already"
    assert "kmm_sim/__init__.py" in names
    assert "traitlets/traitlets.py" in names
    assert not [name for name in names if "/tests/" in name or "__pycache__" in name or name.endswith(".so")]


def test_the_same_files_make_the_same_archive(live, tmp_path):
    packages = live("packages")
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack/__init__.py").write_text("x = 1\n")
    (tmp_path / "pack/lab.js").write_text("export default {}\n")
    one = packages.packed(packages.source_files(tmp_path / "pack"))
    (tmp_path / "pack/__init__.py").touch()
    assert packages.packed(packages.source_files(tmp_path / "pack")) == one


def test_bytecode_stands_in_place_of_its_source(live, tmp_path):
    packages = live("packages")
    (tmp_path / "fast.pyc").write_bytes(b"code")
    files = [("fast.py", b"source"), ("slow.py", b"source")]
    assert dict(packages.with_bytecode(files, tmp_path)) == {"fast.pyc": b"code", "slow.py": b"source"}
    assert dict(packages.with_bytecode(files, tmp_path, re.compile("slow"))) == dict(files)


def test_a_step_runs_again_only_when_its_inputs_changed(live, tmp_path):
    stages, runs = live("stages"), []
    source = tmp_path / "source.py"
    source.write_text("1")

    def make(out):
        runs.append((out / "made").write_text("made"))

    for _ in range(2):
        stages.stage(tmp_path / "out", "making", [source], make)
    assert len(runs) == 1
    source.write_text("2")
    stages.stage(tmp_path / "out", "making", [source], make)
    assert len(runs) == 2


def test_what_cells_printed_is_kept_while_simulator_and_language_are_the_same(live, tmp_path):
    """MyST-NB itself keeps it by the source and the tags of a chapter's cells."""
    source, kept = tmp_path / "simulator/page.py", tmp_path / ".jupyter_cache"
    source.parent.mkdir()
    source.write_text("SIZE = 4096")
    config = SimpleNamespace(kmm_live_package="simulator", language="en")
    app = SimpleNamespace(srcdir=tmp_path, config=config, env=SimpleNamespace(
        mystnb_config=SimpleNamespace(execution_cache_path=str(kept))))

    def is_kept():
        """Is what a build left there still there in the next one?"""
        (kept / "output").touch()
        live("stages")  # puts the extension on the path
        importlib.import_module("kmm_live").keep_outputs(app)
        return (kept / "output").exists()

    kept.mkdir()
    assert not is_kept()  # nobody knows what made it
    assert is_kept()
    assert (kept / "global.db").is_file()  # or two processes would make it at once
    source.write_text("SIZE = 8192")
    assert not is_kept()
    assert is_kept()
    config.language = "zh_TW"
    assert not is_kept()


def test_a_step_that_fails_leaves_what_was_there(live, tmp_path):
    stages = live("stages")
    stages.stage(tmp_path / "out", "making", ["1"], lambda out: (out / "made").write_text("good"))

    def fail(out):
        (out / "made").write_text("half")
        raise RuntimeError("broken off")

    with pytest.raises(RuntimeError):
        stages.stage(tmp_path / "out", "making", ["2"], fail)
    assert (tmp_path / "out/made").read_text() == "good"


def test_a_failure_says_what_was_done_expected_and_what_to_do(live, tmp_path):
    node, errors = live("node"), live("errors")
    script = tmp_path / "broken.mjs"
    script.write_text("console.error('the reason'); process.exit(3);")
    with pytest.raises(errors.LiveBuildError) as failure:
        node.run_node(script, expected="nothing of it")
    text = str(failure.value)
    for part in ("What was done:", "exit status 3", "What was expected: nothing of it", "What to do:", "the reason"):
        assert part in text


def test_a_package_that_is_missing_is_named(live):
    packages, errors = live("packages"), live("errors")
    with pytest.raises(errors.LiveBuildError, match="no-such-package"):
        packages.distribution("no-such-package")


def test_the_npm_lock_names_no_registry():
    lock = json.loads((ROOT / "book/_ext/kmm_live/web/package-lock.json").read_text())
    assert not [name for name, package in lock["packages"].items() if "resolved" in package]
    assert all("integrity" in package for name, package in lock["packages"].items() if name)


def test_every_direct_npm_package_is_pinned_exactly():
    wanted = json.loads((ROOT / "book/_ext/kmm_live/web/package.json").read_text())["dependencies"]
    assert not [name for name, version in wanted.items() if not version[0].isdigit()]


def test_a_python_that_was_ended_says_nothing_of_the_next(live):
    """Its last word, that it failed, may come after its end: it would end the one that is starting by then."""
    script = f"""
      globalThis.self = globalThis;
      const {{ Kernel }} = await import({json.dumps((ROOT / "book/_ext/kmm_live/web/session/kernel.js").as_uri())});
      for (const ended of [false, true]) {{
        const worker = {{ terminate() {{}} }};
        const kernel = new Kernel({{ worker, said: [] }}, () => 0);
        kernel.onGone = (why) => console.log(ended, why);
        if (ended) kernel.dispose();
        worker.onmessage({{ data: {{ op: "failed", message: "no memory" }} }});
        worker.onerror({{ message: "gone" }});
      }}"""
    command = [*live("node").programs()[0], "--input-type=module", "-e", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "false no memory\n"

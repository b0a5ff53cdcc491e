"""The rules of the house: what every module keeps, checked by reading the source."""

import ast
import importlib
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "kmm_sim"

# Lowest first. A module imports only from lower floors; "x.*" may also import within its own folder.
FLOORS = (
    {"trace", "errors", "mm", "catalogue"},
    {"mm.page", "mm.page_flags", "mm.rbtree", "mm.vmalloc_events"},
    {"mm.slab_pages"},
    {"mm.memory", "mm.internal", "mm.oops", "mm.percpu_events", "mm.stack_events", "mm.tlb", "mm.vmap_area"},
    {"mm.gfp"},
    {"mm.sched"},
    {"mm.mmzone"},
    {"mm.events", "mm.slab_events"},
    {"mm.vmstat"},
    {"mm.buddy", "mm.watermark", "mm.bad_page", "mm.highmem"},
    {"mm.fallback", "mm.memblock"},
    {"mm.pcp", "mm.highatomic"},
    {"mm.sysctl", "mm.vmscan", "mm.compaction", "mm.show_mem"},
    {"mm.freelist", "mm.oom_kill"},
    {"mm.slowpath"},
    {"mm.page_alloc", "mm.page_ref"},
    {"mm.slab_common", "mm.pgtable"},
    {"mm.vmap_node", "mm.kmalloc", "mm.slub_def", "mm.kernel_caches"},
    {"mm.slub_debug"},
    {"mm.slub_broken"},
    {"mm.slub", "mm.slab", "mm.slob", "mm.vmalloc"},  # siblings: none imports another
    {"mm.sheaf"},
    {"mm.sheaves"},
    {"mm.fault", "mm.ioremap"},
    {"mm.stack", "mm.percpu", "mm.mempool"},
    {"boot", "presets", "calls", "calls.*"},
    {"machine"},
    {""},  # kmm_sim itself
    {"observe", "observe.*", "workload", "small"},
    {"recording.*"},
    {"recording"},
    {"appendix"},
    {"plots", "plots.*"},
    {"labs", "labs.*"},
    {"exercises", "exercises.*"},
    {"grade", "grade.*"},
    {"__main__"},
)
STANDARD_LIBRARY_ONLY = ("trace", "errors", "catalogue", "mm", "mm.*", "boot", "presets", "calls", "calls.*", "machine",
                         "", "observe", "observe.*", "workload", "small", "recording", "recording.*", "appendix",
                         "grade", "grade.*", "__main__")


def module_name(path: Path) -> str:
    """Name below kmm_sim: ``mm.page``; the empty string for kmm_sim itself."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").rstrip(".")


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}
each_module = pytest.mark.parametrize("name", MODULES, ids=lambda name: name or "kmm_sim")


def floor(name: str) -> int:
    for number, patterns in enumerate(FLOORS):
        if any(fnmatch(name, pattern) for pattern in patterns):
            return number
    raise AssertionError(f"kmm_sim.{name} has no floor: say in FLOORS where it belongs")


def imports(tree: ast.AST) -> set[str]:
    """Full names of the modules that the code imports; those for the type checker alone are not imported."""
    found = set()
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                continue
            case ast.Import():
                found |= {alias.name for alias in node.names}
            case ast.ImportFrom(level=0, module=str(module)):
                inside = {f"{module}.{alias.name}" for alias in node.names}
                names = {name for name in inside if name.removeprefix("kmm_sim.") in MODULES}
                found |= names if len(names) == len(inside) else names | {module}
            case ast.ImportFrom():
                raise AssertionError(f"line {node.lineno}: a relative import; write kmm_sim. out")
        found |= imports(node)
    return found


def public(tree: ast.AST, inside: str = ""):
    """Each public class, function and method, with its dotted name."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            yield inside + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from public(node, f"{node.name}.")


@each_module
def test_a_module_imports_only_from_lower_floors(name):
    for imported in imports(TREES[name]):
        if imported != "kmm_sim" and not imported.startswith("kmm_sim."):
            continue
        target = imported.removeprefix("kmm_sim").removeprefix(".")
        folder = name.partition(".")[0] if name in MODULES and floor(name) == floor(target) else None
        siblings = folder is not None and f"{folder}.*" in FLOORS[floor(name)] and target.partition(".")[0] == folder
        assert siblings or floor(target) < floor(name), f"kmm_sim.{name} imports {imported}, which is not below it"


@each_module
def test_the_simulator_needs_nothing_but_the_standard_library(name):
    if not any(fnmatch(name, pattern) for pattern in STANDARD_LIBRARY_ONLY):
        return
    roots = {imported.partition(".")[0] for imported in imports(TREES[name])}
    assert roots <= sys.stdlib_module_names | {"kmm_sim"}


def test_importing_kmm_sim_imports_nothing_visual():
    loaded = "import sys, kmm_sim; print(*{name.partition('.')[0] for name in sys.modules})"
    names = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stdout.split()
    assert "kmm_sim" in names
    assert not {"numpy", "matplotlib", "ipywidgets", "anywidget", "IPython", "traitlets"} & set(names)


@each_module
def test_what_a_module_exports_exists(name):
    module = importlib.import_module(f"kmm_sim.{name}".rstrip(".")) if name != "__main__" else None
    for exported in getattr(module, "__all__", ()):
        assert hasattr(module, exported), f"__all__ names {exported}"


@each_module
def test_a_module_is_named_for_its_subject(name):
    assert not {"utils", "util", "helpers", "helper", "misc", "common"} & set(name.split("."))


@each_module
def test_every_public_name_has_a_docstring(name):
    assert ast.get_docstring(TREES[name]) or not TREES[name].body, "the module has none"
    missing = [dotted for dotted, node in public(TREES[name]) if not ast.get_docstring(node)
               and not any(ast.unparse(mark).endswith((".setter", "overload")) for mark in node.decorator_list)]
    assert not missing


COUNTERPART = re.compile(r"Linux: (\w+\(\)(, \w+\(\))*, [\w/.-]+\.[chS](, [\w/.-]+\.[chS])*\.?|no counterpart\b.*)$",
                         re.MULTILINE)


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("mm.")])
def test_every_function_of_mm_says_what_it_stands_for(name):
    """A function ends with ``Linux: f(), mm/file.c`` or, where Linux has no such thing, ``Linux: no counterpart``."""
    functions = [node for node in TREES[name].body if isinstance(node, ast.FunctionDef) and node.name[0] != "_"]
    silent = [node.name for node in functions if not COUNTERPART.search(ast.get_docstring(node) or "")]
    assert not silent


def tracked() -> list[Path]:
    """The repository's own files: those git knows or would add."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


# Written in pieces, so that this file does not mention what it looks for.
NOT_OURS = re.compile("|".join([
    r"files\.python" + r"hosted\.org", r"pypi\." + r"org/(simple|packages)", r"registry\." + r"(npmjs|yarnpkg)",
    r"deb\." + r"debian\.org", "file:///" + r"(opt|work|root|home|tmp)",
    r"(?<![\w.])/" + r"(work|root|opt/pypi|opt/wheels)/", r"\.\./" + "shared",
]))


def test_no_file_mentions_a_registry_or_a_path_of_somebodys_machine():
    found = []
    for path in tracked():
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [f"{path.relative_to(ROOT)}: {match.group()}" for match in NOT_OURS.finditer(text)]
    assert not found


def test_the_versions_that_are_pinned_agree():
    """requirements*.txt and requirements.lock name the same version of each package."""
    pin = re.compile(r"^([\w-]+)==(\S+)", re.MULTILINE)
    locked = set(pin.findall((ROOT / "requirements.lock").read_text()))
    for name in ("requirements.txt", "requirements-test.txt"):
        assert set(pin.findall((ROOT / name).read_text())) <= locked, f"{name} changed: run `make lock`"


def test_the_style_is_the_one_that_was_agreed_on():
    """As `make lint` has it: ruff over all that is ours."""
    done = subprocess.run([sys.executable, "-m", "ruff", "check", "--no-cache", "."], cwd=ROOT, capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_types_fit():
    """As `make lint` has it: mypy, strictly, over the package. Its cache makes a second run quick."""
    done = subprocess.run([sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_is_misspelt():
    """As `make lint` has it, with the words of the kernel."""
    done = subprocess.run([Path(sys.executable).with_name("codespell")], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_misspelt_word_of_the_kernel_is_found(tmp_path):
    (tmp_path / "page.md").write_text("Pages of the k" "maloc class.")  # in pieces, as above
    done = subprocess.run([Path(sys.executable).with_name("codespell"), tmp_path / "page.md"], cwd=ROOT,
                          capture_output=True, text=True)
    assert "maloc ==> kmalloc" in done.stdout

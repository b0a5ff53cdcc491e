# SPDX-License-Identifier: GPL-2.0-only
"""Makes recordings of what the module said: a file each, with a header line.

    python tools/record_kernel/pack.py RAW RECORDINGS

packs again what an earlier run of record.py left in RAW.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from legends import LEGENDS

FORMAT = "mmoracle-1"             # kmm_sim/recording/files.py reads it
FOLDERS = {"buddy": "buddy", "script": "buddy", "drain": "watermark", "slub": "slub", "kmallocseq": "slub",
           "smp": "smp", "vmalloc": "vmalloc", "stacks": "vmalloc"}
PARAMETERS = ("nops", "omin", "omax", "prof", "mtp", "wmp", "pcpmode", "ev", "dint", "cap", "zmod", "fill", "args",
              "ballast")
PCP = ("as found", "disabled (high=0,batch=1: transparent)", "drained first")

Header = Mapping[str, Any]


class PackingError(Exception):
    """What a boot left cannot be packed; the message says why."""


def pack(raw: Path, name: str, recordings: Path) -> list[Path]:
    """Pack what the boot of this name left; return the recordings' paths."""
    boot = json.loads((raw / f"{name}.boot.json").read_text(encoding="utf-8"))
    if boot["mistake"]:
        return [_pack_mistake(raw / f"{name}.console", recordings)]
    text = (raw / f"{name}.out").read_text(encoding="utf-8", errors="replace")
    if text.startswith("===FILE"):
        return [_pack_proc(name, text, boot, recordings)]
    runs = list(_runs(name, text))
    if any(header["exp"] == "zones" for header, _ in runs):
        return [_pack_zones(name, runs, boot, recordings)]
    return [_pack_run(header, records, boot, recordings) for header, records in runs]


def _runs(name: str, text: str) -> Iterator[tuple[Header, list[Any]]]:
    """Yield each experiment of a boot: what it was, and its records."""
    header, records = None, []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise PackingError(f"{name}.out, line {number}, is not JSON: did the boot end early?") from error
        kind = record.get("k") if isinstance(record, dict) else None
        if kind == "run":
            header, records = record, []
        elif header is None:
            raise PackingError(f"{name}.out, line {number}: a record before any header")
        elif kind != "end":
            records.append(record)
        elif record["rc"]:
            raise PackingError(f"{name}.out: experiment {header['name']} failed with {record['rc']}")
        else:
            yield header, records
            header = None
    if header is not None:
        raise PackingError(f"{name}.out: experiment {header['name']} has no end")


def _pack_run(run: Header, records: Sequence[Any], boot: Mapping[str, Any], recordings: Path) -> Path:
    suffix = f"_{run['args'][0]}" if run["exp"] == "slub" else ""
    path = recordings / FOLDERS.get(run["exp"], "tables") / f"{run['name']}{suffix}.jsonl.gz"
    return _write(path, [_header(run, boot), *records])


def _header(run: Header, boot: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "format": FORMAT, "kind": run["exp"], "name": run["name"], "kernel": f"Linux {run['kernel']}",
        "arch": "x86_64", "machine": boot["machine"], "cmdline": run["cmdline"], "cpus": run["cpus"],
        "nr_cpu_ids": run["nr_cpu_ids"], "seed": run["seed"], "params": {name: run[name] for name in PARAMETERS},
        "shuffle_active": run["shuffle"], "pcp": PCP[run["pcpmode"]], "config": boot["config"],
        "recorded_by": f"kmm_record.ko exp={run['exp']} in {boot['emulator']}", "legend": LEGENDS.get(run["exp"], {}),
    }


def _pack_zones(name: str, runs: Sequence[tuple[Header, list[Any]]], boot: Mapping[str, Any], folder: Path) -> Path:
    """One object: the zones after each turn of a knob, without what is on their lists."""
    header = _header(runs[0][0], boot)
    whole = {"format": FORMAT, "kind": "zone-setup"}
    whole |= {key: header[key] for key in ("kernel", "machine", "cmdline", "cpus", "config")} | {"states": {}}
    for run, records in runs:
        found = [record for record in records if isinstance(record, dict)]
        if run["exp"] == "zones":
            whole["states"][run["name"]] = [_limits(zone) for zone in found[0]["zones"]]
        else:
            whole["sysctl"] = next(record for record in found if record["k"] == "sysctl")
            whole["zonelists"] = [record for record in found if record["k"] == "zonelist"]
    return _write(folder / "zones" / f"{name}.json.gz", [whole])


def _limits(zone: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in zone.items() if key not in ("free", "lru")}
    for key, value in kept.items():
        if key.startswith("pcp"):
            kept[key] = {name: limit for name, limit in value.items() if name != "lists"}
    return kept


def _pack_proc(name: str, text: str, boot: Mapping[str, Any], recordings: Path) -> Path:
    slabs: dict[str, dict[str, str]] = {}
    for cache, attribute, value in re.findall(r"^===SLAB (\S+) (\S+) (.*)$", text, re.MULTILINE):
        slabs.setdefault(cache, {})[attribute] = value
    pieces = re.split(r"^===FILE (.*)\n", re.sub(r"^===SLAB .*\n", "", text, flags=re.MULTILINE), flags=re.MULTILINE)
    files = dict(zip(pieces[1::2], pieces[2::2], strict=True))
    aliases = dict(re.findall(r"(\S+) -> (\S+)", files.pop("slab-links", "")))
    return _write(recordings / "proc" / f"{name}.json.gz", [{
        "format": FORMAT, "kind": "proc", "machine": boot["machine"], "kernel": files["/proc/version"].strip(),
        "cmdline": files["/proc/cmdline"].strip(), "config": boot["config"], "files": files,
        "sys_kernel_slab": slabs, "slab_alias_links": aliases,
    }])


def _pack_mistake(console: Path, recordings: Path) -> Path:
    name = console.stem.removeprefix("mistake-")
    text = console.read_text(encoding="utf-8", errors="replace").replace("\r", "")
    at = text.find("=== ")
    if at < 0:
        raise PackingError(f"{console.name}: the module was not loaded")
    path = recordings / "dmesg" / f"{name}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text[at:], encoding="utf-8")
    return path


def _write(path: Path, records: Sequence[Any]) -> Path:
    lines = "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in records)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(lines.encode(), mtime=0))
    return path


def main() -> int:
    """Pack every boot in a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path, help="the folder with NAME.out and NAME.boot.json")
    parser.add_argument("recordings", type=Path, help="where recordings go")
    options = parser.parse_args()
    names = sorted(path.name.removesuffix(".boot.json") for path in options.raw.glob("*.boot.json"))
    if not names:
        parser.error(f"no boot was recorded in {options.raw}")
    failed = False
    for name in names:
        try:
            print(*pack(options.raw, name, options.recordings), sep="\n")
        except (PackingError, OSError) as error:
            print(f"error: {error}", file=sys.stderr)
            failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: GPL-2.0-only
"""Take out of the finished site what no page uses: a first visit should not wait for it.

The theme brings two thousand icons as fonts and the whole of Bootstrap as style sheets; a page of this book shows some
twenty icons and few of Bootstrap's parts.  Icons stay if a page or a style sheet names them, rules if each word of
their selector stands in a tag of a page or anywhere in a script, so that what a script adds later keeps its look.

The originals are Sphinx's, which it copies anew at every build.
"""

import logging
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from . import node
from .stages import digest, stage

WORD = re.compile(r"[A-Za-z_][\w-]*")
ICON = re.compile(r"\\([ef][0-9a-f]{3})(?![0-9a-f])|([\ue000-\uf8ff])")  # icons have numbers of the private use area
SHEETS = ("_static/styles/*.css", "_static/sphinx-design.min.css", "_static/mystnb.*.css", "_static/basic.css",
          "_static/vendor/fontawesome/*/css/all.min.css")
FONTS = "_static/vendor/fontawesome/*/webfonts/*.woff2"
TOOL = Path(__file__).parent / "web/slim.mjs"
BY_SCRIPT = re.compile(r"(bs|tooltip|dropdown)\w*(-|$)")  # Bootstrap builds such names
LONG = ("_static/*.js", "_static/exercises/*.js", "_static/words/*.js", "_static/live/modules/*.js",
        "_static/live/modules/*.css")
TAG = re.compile(r"<[^<>]*>")


def slim_site(site: Path, modules: Path, cache: Path) -> None:
    """Do it to the site; ``modules`` are the JavaScript packages, ``cache`` keeps the work between builds."""
    sheets = [file for pattern in SHEETS for file in sorted(site.glob(pattern))]
    texts = [file.read_text(encoding="utf-8") for file in sheets]
    known = words_of_tags(site.rglob("*.html")) | words_of(site.glob("_static/**/*.js"))
    words = sorted(word for word in words_in(texts) if word in known or BY_SCRIPT.match(word))
    slim = stage(cache / "slim", "leaving out style rules that no page uses", [TOOL, "\n".join(words), *texts],
                 lambda out: purge(out, words, texts, modules))
    for nth, sheet in enumerate(sheets):
        shutil.copy(slim / f"{nth}.css", sheet)
    subset_fonts(site, cache)
    shorten(site, modules, cache)


def words_in(texts: Iterable[str]) -> set[str]:
    """Every word of these texts."""
    return {word for text in texts for word in WORD.findall(text)}


def words_of_tags(files: Iterable[Path]) -> set[str]:
    """Every word inside the tags of these pages: the names of their elements and classes."""
    return words_in(tag for file in files for tag in TAG.findall(file.read_text(encoding="utf-8")))


def words_of(files: Iterable[Path]) -> set[str]:
    """Every word of these files."""
    return words_in(file.read_text(encoding="utf-8", errors="replace") for file in files)


def purge(out: Path, words: list[str], texts: list[str], modules: Path) -> None:
    """Write each style sheet without the rules that need another word."""
    listed = out / "words.txt"
    listed.write_text("\n".join(words), encoding="utf-8")
    originals = [out / f"original-{nth}.css" for nth in range(len(texts))]
    for file, text in zip(originals, texts, strict=True):
        file.write_text(text, encoding="utf-8")
    node.run_node(TOOL, modules, listed, out, *originals, expected="PurgeCSS to read the theme's style sheets")
    for file in originals:
        file.unlink()


def subset_fonts(site: Path, cache: Path) -> None:
    """Leave in the icon fonts what a style sheet still shows."""
    fonts = sorted(site.glob(FONTS))
    sheets = "".join(sheet.read_text(encoding="utf-8") for sheet in site.glob("_static/**/*.css"))
    used = sorted({int(number, 16) if number else ord(icon) for number, icon in ICON.findall(sheets)})
    slim = stage(cache / "fonts", "leaving out icons that no page shows", [*map(str, used), *map(digest, fonts)],
                 lambda out: [subset_font(font, used, out / font.name) for font in fonts])
    for font in fonts:
        shutil.copy(slim / font.name, font)


def subset_font(font: Path, used: list[int], target: Path) -> None:
    """Write a font that has these characters and no others."""
    from fontTools import subset  # half a second, and most builds have nothing to leave out

    logging.getLogger("fontTools").setLevel(logging.WARNING)  # a build says what it does, not each table of a font
    options = subset.Options(flavor="woff2", drop_tables=["FFTM"], notdef_outline=True)
    with subset.load_font(str(font), options) as loaded:
        subsetter = subset.Subsetter(options)
        subsetter.populate(unicodes=used)
        subsetter.subset(loaded)
        subset.save_font(loaded, str(target), options)


def shorten(site: Path, modules: Path, cache: Path) -> None:
    """Take out of scripts, and of the labs' styles, what only people need."""
    files = [file for pattern in LONG for file in sorted(site.glob(pattern)) if ".min." not in file.name]
    short = stage(cache / "short", "shortening scripts", [TOOL, *map(digest, files)],
                  lambda out: shorten_copies(files, out, modules))
    for file in files:
        shutil.copy(short / file.name, file)


def shorten_copies(files: list[Path], out: Path, modules: Path) -> None:
    """Write short forms of these files, whose names differ."""
    copies = [shutil.copy(file, out) for file in files]
    node.run_node(TOOL, modules, "--minify", *copies, expected="esbuild to shorten the site's scripts")

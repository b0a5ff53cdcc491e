# SPDX-License-Identifier: GPL-2.0-only
"""A link: a lab's settings and what its reader did, as one short line of text.

    1;buddy;pages=16;script=+0~-0;:1;alloc/GFP_KERNEL/2;free/m:0/2;@9

The first field is the version of this spelling, the second the lab's name.  ``name=value`` is a
setting, ``:1`` how many calls of the recorded run stand, ``@9`` the event that is shown; anything
else is an action: its name and, after slashes, what stands in the gaps of its form, in their
order (and ``name=value`` for what is in no gap).  A value is a whole number; ``!t`` or ``!f``; a
list, ``*one,two``; or a text, with ~ for a space and per cent signs as in any address.

A link may come from anybody.  It is only ever read as data, and never longer than the limits here.
The browser writes links (static/permalink.js); so does ``Link.__str__``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

from kmm_sim.catalogue import _

__all__ = ["MAX_ACTIONS", "MAX_LENGTH", "VERSION", "Link", "read_link"]

VERSION = "1"
MAX_LENGTH = 8000  # characters; browsers and chat programs take that much
MAX_ACTIONS = 200
MAX_TEXT = 2000
MAX_NUMBER = 2**53  # what both languages count exactly

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}", re.ASCII)
NUMBER = re.compile(r"-?[0-9]{1,16}", re.ASCII)
SAFE = ":|+()"  # beside letters, digits and _.- these need no per cent sign

Value = int | bool | str | list[Any]
Gaps = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Link:
    """What a link says.  ``kept`` and ``at`` are None for all recorded calls and for the last event."""

    lab: str
    settings: Mapping[str, Value] = field(default_factory=dict)
    actions: Sequence[Mapping[str, Value]] = ()
    kept: int | None = None
    at: int | None = None

    def write(self, gaps: Gaps) -> str:
        """Return the line; ``gaps`` are the names of the gaps of each form, in their order."""
        fields = [VERSION, self.lab]
        fields += [f"{name}={'' if value == '' else _write(value)}" for name, value in self.settings.items()]
        fields += [] if self.kept is None else [f":{self.kept}"]
        fields += [_write_action(action, gaps) for action in self.actions]
        return ";".join(fields + ([] if self.at is None else [f"@{self.at}"]))


def read_link(text: str, lab: str, gaps: Gaps) -> Link:
    """Return what a link for the lab of this name says.

    Raises ValueError, with a sentence for the reader, for anything else than such a link.
    """
    if not isinstance(text, str) or len(text) > MAX_LENGTH:
        raise ValueError(_("this link is longer than a lab's link can be, {most} characters", most=MAX_LENGTH))
    version, *fields = _own_part(text).split(";")
    if version != VERSION:
        raise ValueError(_("this is no link of version {version}, which is the one that this lab reads",
                           version=VERSION))
    if not fields or fields[0] != lab:
        raise ValueError(_("this link is not for a lab of the kind {lab!r}", lab=lab))
    settings: dict[str, Value] = {}
    actions: list[dict[str, Value]] = []
    numbers: dict[str, int] = {}
    for each in filter(None, fields[1:]):
        name, equals, value = each.partition("=")
        if each[0] in ":@":
            numbers[each[0]] = _number(each[1:])
        elif equals and NAME.fullmatch(name):
            settings[name] = _read(value)
        else:
            actions.append(_read_action(each, gaps))
    if len(actions) > MAX_ACTIONS:
        raise ValueError(_("this link has {actions} actions, more than the {most} that a link can have",
                           actions=len(actions), most=MAX_ACTIONS))
    return Link(lab, settings, actions, numbers.get(":"), numbers.get("@"))


def _own_part(text: str) -> str:
    """Return the link in what may be a whole address."""
    fragment = text.strip().partition("#kmm.")[2]
    return fragment.partition("=")[2].partition("&")[0] if fragment else text.strip()


def _write_action(action: Mapping[str, Value], gaps: Gaps) -> str:
    does = str(action["do"])
    names = gaps.get(does, ())
    parts = [_write(action[name]) if name in action else "" for name in names]
    others = [f"{name}={_write(value)}" for name, value in action.items() if name not in {"do", "at", *names}]
    return "/".join([does, *parts, *others])


def _read_action(text: str, gaps: Gaps) -> dict[str, Value]:
    does, *parts = text.split("/")
    names = gaps.get(does, ())
    if not NAME.fullmatch(does) or len(parts) > len(names) + 8:
        raise ValueError(_("{short} in this link is no action", short=_short(text)))
    action: dict[str, Value] = {"do": does}
    for name, part in zip(names, parts, strict=False):
        if part:
            action[name] = _read(part)
    for part in parts[len(names) :]:
        name, equals, value = part.partition("=")
        if not equals or not NAME.fullmatch(name) or name in {"do", "at"}:
            raise ValueError(_("{short} in this link is nothing that an action has", short=_short(part)))
        action[name] = _read(value)
    return action


def _write(value: Value) -> str:
    match value:
        case bool():
            return "!t" if value else "!f"
        case int():
            return str(value)
        case list():
            return "*" + ",".join(map(_write, value))
    text = str(value)
    escaped = quote(text, safe=SAFE + " ").replace("~", "%7E").replace(" ", "~")
    return "'" + escaped if not text or NUMBER.fullmatch(text) else escaped


def _read(text: str) -> Value:
    if text in ("!t", "!f"):
        return text == "!t"
    if text.startswith("*"):
        return list(_items(text[1:]))
    if NUMBER.fullmatch(text):
        return _number(text)
    try:
        value = unquote(text.removeprefix("'").replace("~", " "), errors="strict")
    except UnicodeDecodeError:
        raise ValueError(_("{short} in this link is no text", short=_short(text))) from None
    if len(value) > MAX_TEXT:
        raise ValueError(_("a text in this link is longer than {most} characters", most=MAX_TEXT))
    return value


def _items(text: str) -> Iterator[Value]:
    for item in text.split(",") if text else ():
        if item.startswith("*"):
            raise ValueError(_("a list in this link holds another list"))
        yield _read(item)


def _number(text: str) -> int:
    if not NUMBER.fullmatch(text) or abs(int(text)) > MAX_NUMBER:
        raise ValueError(_("{short} in this link is no number that a lab can count with", short=_short(text)))
    return int(text)


def _short(text: str) -> str:
    return repr(text if len(text) <= 24 else text[:24] + "…")

"""What the search index has besides the words of the text."""

import importlib
import sys
from pathlib import Path

import pytest


@pytest.fixture
def split(monkeypatch):
    """How the extension splits a text into words."""
    monkeypatch.setattr(sys, "path", [str(Path(__file__).parents[2] / "book/_ext"), *sys.path])
    return importlib.import_module("kmm_search").KernelWords({}).split


def test_a_kernel_name_is_found_with_and_without_its_underscores(split):
    assert split("see __rmqueue_smallest() and __GFP_IO") == [
        "see", "__rmqueue_smallest", "and", "__GFP_IO",
        "rmqueue_smallest", "rmqueue", "smallest", "GFP_IO", "GFP", "IO"]


def test_underscores_alone_are_no_name(split):
    assert split("_ __ _1") == ["_", "__", "_1"]


def test_a_chinese_term_is_found_by_each_two_neighbours(split):
    assert split("夥伴系統") == ["夥伴系統", "夥伴", "伴系", "系統"]
    assert split("頁框 and") == ["頁框", "and"]

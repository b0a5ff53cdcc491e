# SPDX-License-Identifier: GPL-2.0-only
"""The calls of a machine, a mixin for each part of the memory manager; ``Machine`` inherits them."""

# SPDX-License-Identifier: GPL-2.0-only
"""The colours of all pictures: those of Okabe and Ito, which colour-blind readers can tell apart."""

__all__ = ["BLUE", "GREEN", "ORANGE", "PURPLE", "SKY", "VERMILION"]

SKY = "#56b4e9"
ORANGE = "#e69f00"
GREEN = "#009e73"
VERMILION = "#d55e00"
PURPLE = "#cc79a7"
BLUE = "#0072b2"

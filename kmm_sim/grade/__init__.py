# SPDX-License-Identifier: GPL-2.0-only
"""Grading notebooks that were handed in.

    python -m kmm_sim grade alice.ipynb bob.md --seed 7 --csv marks.csv --report reports/

For each notebook there are two processes besides the one that was started:

    grading    reads options, starts a judge for each notebook, writes the CSV and the reports
    judge      knows the seeds and what is right; decides.  It never runs a line of the notebook
    student    runs the notebook's cells and calls its functions when the judge asks; knows no seed

What the student's process sends is data (`wire`): answers, and what functions returned.  It cannot send "right".  It
has limits of time and memory, no network, nobody to send a signal to, reads what is Python's and the package's, and
writes to a folder of its own (`fence`).

Not protected: a notebook may hand in the book's own solution, which is public, or compute its answers by the
simulator, which is what it is for; and where the kernel has neither seccomp nor Landlock (not Linux, or an old one),
a hostile notebook can reach what its user can reach.  `Outcome.fence` says what was had.
"""

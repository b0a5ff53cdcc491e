# SPDX-License-Identifier: GPL-2.0-only
"""The exercises of the chapter "Memory in the kernel".

    ex.may_sleep    choose: who may sleep
    ex.unchecked    find the bug: a driver that trusts its luck
    ex.report       read a report: "sleeping function called from invalid context"
"""

from __future__ import annotations

from kmm_sim.catalogue import _
from kmm_sim.exercises.choose import Situation, choose
from kmm_sim.exercises.exercise import Exercise, Series
from kmm_sim.exercises.find_bug import Bug, find_bug
from kmm_sim.exercises.questions import Ask, mistake
from kmm_sim.exercises.reading import word
from kmm_sim.exercises.report import read_report
from kmm_sim.mm.gfp import GFP_ATOMIC, GFP_KERNEL, GFP_NOFS, GFP_NOWAIT

__all__ = ["EXERCISES", "may_sleep", "report", "unchecked"]

may_sleep = choose(
    name="memory-in-the-kernel/may-sleep", title=_("Who may sleep?"), level=1,
    task=_("A request that has to make room may sleep meanwhile. Decide for each caller whether it may, and say why."),
    options=("may sleep", "must not sleep"),
    reasons={
        "process": _("it runs for a process (or a kernel thread), and nothing forbids it to wait"),
        "no process": _("it runs on top of whoever was interrupted: there is no task of its own to put to sleep"),
        "lock": _("others would spin on the lock until it comes back"),
    },
    situations=(
        Situation(key="read", words=_("a driver's `read()`, called by a program"), right="may sleep", because="process",
                  wrong={"must not sleep": _("`read()` runs for the program that called it. The program waits, and "
                                             "that "
                                             "is what programs do.")}),
        Situation(key="irq", words=_("the handler of a network card's interrupt"), right="must not sleep",
                  because="no process",
                  wrong={"may sleep": _("A handler interrupts somebody. If it slept, that somebody, who knows "
                                        "nothing of "
                                        "it, would sleep too.")}),
        Situation(key="spin", words=_("`read()` between `spin_lock()` and `spin_unlock()`"), right="must not sleep",
                  because="lock",
                  wrong={"may sleep": _("A process runs there, but it holds a spinlock: another CPU may spin on it, "
                                        "perhaps for ever.")},
                  misread={"no process": _("Right, it must not. But a process does run there; what forbids it is the "
                                           "lock it holds.")}),
        Situation(key="mutex", words=_("`read()` while it holds a mutex"), right="may sleep", because="process",
                  wrong={"must not sleep": _("Who waits for a mutex sleeps too, and does not burn a CPU. Sleeping with "
                                             "one is allowed.")}),
        Situation(key="timer", words=_("a timer's function, which runs as a softirq"), right="must not sleep",
                  because="no process",
                  wrong={"may sleep": _("A softirq runs after an interrupt, on top of any task. It has none of its "
                                        "own to put to sleep.")}),
        Situation(key="thread", words=_("a kernel thread, such as kswapd"), right="may sleep", because="process",
                  wrong={"must not sleep": _("A kernel thread is a task of its own: the scheduler can put it to sleep "
                                             "and wake it.")}),
    ),
    hints=(_("Is there a task of its own that the scheduler could put aside?"),
           _("A spinlock is held with preemption off; a mutex is not."),
           _("Interrupt handlers and softirqs borrow the task that happened to run.")),
    why=_("Sleeping is a thing that a task does. Whoever has no task of its own, or holds a spinlock, must get "
          "memory at "
          "once or not at all: GFP_ATOMIC, or GFP_NOWAIT if it can do without."),
)

unchecked = find_bug(
    name="memory-in-the-kernel/unchecked", title=_("A driver that trusts its luck"), level=2,
    task=_("This driver opens a device. It is called by a program and may sleep. Two of its lines are wrong."),
    source="""
static int led_open(struct inode *inode, struct file *file)
{
    struct led *led = kmalloc(sizeof(*led), GFP_KERNEL);

    led->buffer = kmalloc(512, GFP_KERNEL);
    if (!led->buffer)
        return -ENOMEM;

    file->private_data = led;
    return 0;
}
""",
    names={"unchecked": _("uses what it may not have got"), "leak": _("forgets to give something back"),
           "sleeps": _("may sleep where nobody may"), "size": _("asks for the wrong number of bytes")},
    bugs=(
        Bug(lines=(5, 3), name="unchecked", missed=_("What is `led` if the first `kmalloc()` finds nothing?"),
            misread={"size": _("512 bytes are what the driver wants. Look at the pointer on the left.")}),
        Bug(lines=7, name="leak", missed=_("The function gives up here. What does it hold at this moment?"),
            misread={"unchecked": _("It was checked in the line before. But what of `led`?")}),
    ),
    innocent={9: _("The pointer is kept for `read()` and `release()`; that is what `private_data` is for.")},
    hints=(_("Which of the two allocations is tested?"), _("What does a failed `kmalloc()` return, and what does "
                                                           "`->` do "
                                                           "with it?"),
           _("On the way out after an error, everything that was got before must be given back.")),
    why=_("The first result is used untested in line 5; a kernel has nobody above it to catch that. And if the second "
          "allocation fails, the first is lost: `kfree(led)` before the return. In a program the exit cleans up after "
          "you; a kernel never exits."),
)

_REPORT = """
BUG: sleeping function called from invalid context at include/linux/sched/mm.h:321
in_atomic(): 1, irqs_disabled(): 0, non_block: 0, pid: 36, name: insmod
preempt_count: 1, expected: 0
"""

report = read_report(
    name="memory-in-the-kernel/sleeping", title=_("Asleep at the wheel"), level=2,
    task=_("A debug build of Linux 6.12.117 printed this when a module allocated memory. `preempt_count` has a field "
           "of 8 "
           "bits for spinlocks and the like (lowest), then 8 for softirqs, then 4 for interrupts."),
    text=_REPORT,
    asks=(
        Ask(key="who", words=_("the name of the task that ran"), right="insmod",
            read=word(("insmod", "swapper", "kswapd0", "none"))),
        Ask(key="interrupt", words=_("was an interrupt or a softirq being served?"), right="no",
            read=word(("yes", "no"))),
        Ask(key="locks", words=_("how many spinlocks (or the like) were held"), right=1),
        Ask(key="mask", words=_("a mask that would have been all right there: GFP_KERNEL, GFP_NOFS, GFP_ATOMIC or "
                                "GFP_NOWAIT"), right="GFP_ATOMIC", also=("GFP_NOWAIT",),
            read=word({"GFP_KERNEL": (GFP_KERNEL,), "GFP_NOFS": (GFP_NOFS,), "GFP_ATOMIC": (GFP_ATOMIC,),
                       "GFP_NOWAIT": (GFP_NOWAIT,)})),
    ),
    lines={"who": 2, "interrupt": 3, "locks": 3, "mask": 1},
    mistakes=(
        mistake("atomic means interrupt", _("`in_atomic()` is 1 for a held spinlock too. An interrupt would show in "
                                            "the higher fields of `preempt_count`."), interrupt="yes", who="none"),
        mistake("nothing is held", _("0 is what was expected. The count was 1: something forbids this task to sleep."),
                locks=0),
        mistake("the pid for a count", _("36 is the number of the task. The locks are counted in `preempt_count`."),
                locks=36),
        mistake("fewer calls, still asleep", _("This mask may still wait for reclaim. It only promises not to enter "
                                               "filesystems."), mask="GFP_NOFS"),
        mistake("the same again", _("This is the mask that sleeps: it has `__GFP_DIRECT_RECLAIM`."), mask="GFP_KERNEL"),
    ),
    hints=(_("The second line names the task."), _("preempt_count is 1: in which of its fields is that?"),
           _("What must a mask lack, so that the request never sleeps?")),
    why=_("insmod held one spinlock and asked with a mask that may sleep. A distribution's kernel says nothing of it "
          "and "
          "mostly gets away; only a build with CONFIG_DEBUG_ATOMIC_SLEEP looks. Ask before you take the lock, or with "
          "GFP_ATOMIC."),
)

EXERCISES: tuple[Exercise | Series, ...] = (may_sleep, unchecked, report)

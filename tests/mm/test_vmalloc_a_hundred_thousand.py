"""A hundred thousand calls of all kinds, and not a page or an address lost."""

import random

from kmm_sim import GFP_KERNEL, PAGE_SIZE, KernelBug, Machine
from kmm_sim.observe import snapshot, validate, validate_stacks, validate_vmalloc, vmap_snapshot

CALLS = 100_000
CHECKS = 20


class Mix:
    """A machine, what is held of it, and one call of any kind at a time."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.machine = Machine(memory="64 MiB", cpus=4, trace=False)
        self.held = {kind: [] for kind in ("area", "device", "map", "task", "percpu", "page")}

    def keep(self, kind, thing):
        if thing:
            self.held[kind].append(thing)

    def take(self, kind):
        things = self.held[kind]
        return things.pop(self.rng.randrange(len(things))) if things else None

    def call(self):
        machine, rng = self.machine, self.rng
        machine.cpu = rng.randrange(4)
        what = rng.randrange(100)
        if what < 28:
            self.keep("area", machine.vmalloc(rng.choice((1, PAGE_SIZE, 9000, 70_000))))
        elif what < 58:
            machine.vfree(self.take("area") or 0)
        elif what < 62:
            self.keep("device", machine.ioremap(0xFED0_0000, rng.randrange(1, 60_000)))
        elif what < 66 and (addr := self.take("device")):
            machine.iounmap(addr)
        elif what < 68:
            self.keep("page", machine.alloc_page(GFP_KERNEL))
        elif what < 70 and len(self.held["page"]) > 3:
            self.keep("map", machine.vmap(rng.sample(self.held["page"], 3)))
        elif what < 72:
            machine.vunmap(self.take("map") or 0)
        elif what < 76:
            self.keep("task", machine.new_task("t", rng.choice(("6.12", "2.6.34"))))
        elif what < 80 and (task := self.take("task")):
            machine.end_task(task)
        elif what < 85:
            self.keep("percpu", machine.alloc_percpu(rng.choice((4, 8, 100, 5000))))
        elif what < 90:
            machine.free_percpu(self.take("percpu") or 0)
        elif what < 97 and self.held["area"]:
            self.touch(rng.choice(self.held["area"]))
        elif what < 98:
            machine.vm_unmap_aliases()
        else:
            self.misuse()

    def touch(self, addr):
        stamp = addr.to_bytes(8, "little")
        self.machine.write(addr, stamp)
        assert self.machine.read(addr, 8) == stamp

    def misuse(self):
        addr = 0xFFFF_C900_0000_0000 + self.rng.randrange(1 << 24)
        if addr not in self.held["area"]:
            try:
                self.machine.vfree(addr)
            except KernelBug:
                return
            raise AssertionError(f"{addr:#x} was taken back, and nobody had got it")

    def give_all_back(self):
        machine = self.machine
        for kind, give in (("area", machine.vfree), ("device", machine.iounmap), ("map", machine.vunmap),
                           ("task", machine.end_task), ("percpu", machine.free_percpu), ("page", machine.free_page)):
            while self.held[kind]:
                give(self.held[kind].pop())


def test_nothing_is_lost_and_at_the_end_all_is_back_but_what_linux_keeps():
    mix = Mix(seed=12)
    for nth in range(CALLS):
        mix.call()
        if nth % (CALLS // CHECKS) == 0:
            validate(mix.machine)
            validate_vmalloc(mix.machine)
            validate_stacks(mix.machine)
    mix.give_all_back()
    machine = mix.machine
    machine.vm_unmap_aliases()
    kept = {
        "page tables": len(machine.vmap_space.tables.made),
        "per-CPU pages of the one empty chunk": sum(len(chunk.pages) for chunk in machine.percpu.chunks),
        "stacks for later": 4 * sum(bool(addr) for slots in machine.stacks.cached for addr in slots),
    }
    held = sum(1 << block.order for block in snapshot(machine).allocated.values())
    assert held == sum(kept.values()), f"{held} pages are held, {kept} are accounted for"
    assert len(machine.percpu.chunks) <= 1
    assert not any(area.nr_pages not in (0, 4) for area in vmap_snapshot(machine).areas.values())
    validate(machine)
    validate_vmalloc(machine)

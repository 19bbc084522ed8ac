"""The filter of system calls, as a program that a small machine of ours runs."""

from __future__ import annotations

import struct

import pytest

from dspex.errors import InterpreterError
from dspex.programs.code.syscalls import ARCHITECTURES, syscall_filter

ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050001, 0x80000000


def answer(program: bytes, architecture: int, number: int) -> int:
    """Run the filter as the kernel does: load, compare and jump, return."""
    lines = list(struct.iter_unpack("=HBBI", program))
    place, loaded = 0, 0
    while True:
        code, yes, no, value = lines[place]
        place += 1
        if code == 0x20:
            loaded = {0: number, 4: architecture}[value]
        elif code == 0x15:
            place += yes if loaded == value else no
        elif code == 0x35:
            place += yes if loaded >= value else no
        else:
            return int(value)


@pytest.mark.parametrize("machine", sorted(ARCHITECTURES))
def test_refuses_exactly_what_it_lists(machine: str) -> None:
    """Every other call of this machine goes through; those of another one end the process."""
    architecture, refused = ARCHITECTURES[machine]
    program = syscall_filter(machine)
    for number in range(512):
        wanted = REFUSE if number in refused.values() else ALLOW
        assert answer(program, architecture, number) == wanted

    assert answer(program, architecture, 0x40000000) == REFUSE
    assert answer(program, architecture + 1, 0) == KILL
    assert {"clone", "clone3", "socket", "ptrace", "memfd_create"} <= refused.keys()


def test_a_machine_without_one_is_refused() -> None:
    """Nothing is run there; the error names what is there instead."""
    with pytest.raises(InterpreterError, match=r"'pdp11'.*MontyInterpreter"):
        syscall_filter("pdp11")

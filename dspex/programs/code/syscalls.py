"""The system calls that sandboxed code is refused, as a program of the kernel's seccomp filter."""

from __future__ import annotations

import platform
import struct
from typing import TYPE_CHECKING, Final

from dspex.errors import InterpreterError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("ARCHITECTURES", "syscall_filter")

_X86_64: Final[Mapping[str, int]] = {
    # processes and threads
    "clone": 56,
    "fork": 57,
    "vfork": 58,
    "clone3": 435,
    # sockets, since not every family knows of network namespaces
    "socket": 41,
    # memory that no limit of a process counts
    "shmget": 29,
    "memfd_create": 319,
    "memfd_secret": 447,
    # other processes, namespaces and the keys of our user
    "ptrace": 101,
    "process_vm_readv": 310,
    "process_vm_writev": 311,
    "unshare": 272,
    "setns": 308,
    "mount": 165,
    "add_key": 248,
    "request_key": 249,
    "keyctl": 250,
    # parts of the kernel that code needs for nothing but attacks
    "perf_event_open": 298,
    "bpf": 321,
    "userfaultfd": 323,
    "io_uring_setup": 425,
}
_AARCH64: Final[Mapping[str, int]] = {
    "clone": 220,
    "clone3": 435,
    "socket": 198,
    "shmget": 194,
    "memfd_create": 279,
    "memfd_secret": 447,
    "ptrace": 117,
    "process_vm_readv": 270,
    "process_vm_writev": 271,
    "unshare": 97,
    "setns": 268,
    "mount": 40,
    "add_key": 217,
    "request_key": 218,
    "keyctl": 219,
    "perf_event_open": 241,
    "bpf": 280,
    "userfaultfd": 282,
    "io_uring_setup": 425,
}
ARCHITECTURES: Final[Mapping[str, tuple[int, Mapping[str, int]]]] = {
    "x86_64": (0xC000003E, _X86_64),
    "aarch64": (0xC00000B7, _AARCH64),
}
"""The kernel's number of each machine we have a filter for, and its refused calls by name."""

# Classic BPF, see linux/filter.h and linux/seccomp.h.
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE = 0, 4
_KILL, _REFUSE, _ALLOW = 0x80000000, 0x00050001, 0x7FFF0000
_OTHER_ABI: Final = 0x40000000


def syscall_filter(machine: str | None = None) -> bytes:
    """Return the filter for a machine, as the kernel takes it; None is the one we run on.

    What it refuses fails with EPERM. A call by another architecture's numbers ends the process.

    Raises:
        InterpreterError: there is none for this machine.
    """
    name = machine or platform.machine()
    if name not in ARCHITECTURES:
        raise InterpreterError(
            f"there is no filter of system calls for {name!r}, only for {list(ARCHITECTURES)}: "
            "use MontyInterpreter"
        )

    architecture, refused = ARCHITECTURES[name]
    numbers = sorted(refused.values())
    program = [
        _line(_LOAD, _ARCHITECTURE),
        _line(_IF_EQUAL, architecture, yes=1),
        _line(_RETURN, _KILL),
        _line(_LOAD, _NUMBER),
        # Each jump counts the lines between itself and the last one, which refuses.
        _line(_IF_AT_LEAST, _OTHER_ABI, yes=len(numbers) + 1),
        *(
            _line(_IF_EQUAL, number, yes=len(numbers) - index)
            for index, number in enumerate(numbers)
        ),
        _line(_RETURN, _ALLOW),
        _line(_RETURN, _REFUSE),
    ]
    return b"".join(program)


def _line(code: int, value: int, *, yes: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, 0, value)

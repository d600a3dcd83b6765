"""Two small programs for the kernel (classic BPF, which needs no rights): which of the sockets that share a port gets a
new connection, and that no new connection begins on a socket.

A listening socket that is closed resets what waits in its queue. So before it is closed for good, `hold_new` makes the
kernel ignore further SYNs, and the queue can be emptied. A client whose SYN is ignored sends it again a second later:
it is refused then, or reaches the server that has the port by that time. Both programs are improvements only: where the
kernel does not take them, the functions return False.
"""

import socket
import struct
from array import array
from collections.abc import Sequence

# From asm-generic/socket.h; Python's socket module has neither.
SO_ATTACH_FILTER, SO_ATTACH_REUSEPORT_CBPF = 26, 51

# From linux/filter.h and linux/bpf_common.h.
_LOAD_WORD, _LOAD_BYTE, _AND, _MODULO, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x30, 0x54, 0x94, 0x15, 0x06
_RANDOM = 0xFFFF_F000 + 56

# The byte of a TCP header with the flags, and the two that tell a first packet.
_FLAGS_AT, _SYN_ACK, _SYN = 13, 0x12, 0x02

_DROP, _KEEP = 0, 0xFFFF_FFFF

# An index that no group has: the kernel falls back to its hash over all sockets.
_NONE = 0xFFFF

_Instruction = tuple[int, int, int, int]

_HOLD_NEW: tuple[_Instruction, ...] = (
    (_LOAD_BYTE, 0, 0, _FLAGS_AT),
    (_AND, 0, 0, _SYN_ACK),
    (_JUMP_IF_EQUAL, 0, 1, _SYN),
    (_RETURN, 0, 0, _DROP),
    (_RETURN, 0, 0, _KEEP),
)


def hold_new(sock: socket.socket) -> bool:
    """Makes a listening socket ignore the first packet of every new connection, for all processes that have it.
    Connections that are being made or wait to be accepted are not affected. Returns whether that was possible.
    """
    return _attach(sock, SO_ATTACH_FILTER, _HOLD_NEW)


def steer(sock: socket.socket, indexes: Sequence[int], count: int) -> bool:
    """Has new connections go only to some of the `count` sockets that share the port of `sock` (SO_REUSEPORT), by
    chance: to those at `indexes`, in the order in which they began to listen. All of them, or none: the kernel
    chooses by its hash, as it does by itself. Returns whether that was possible.
    """
    if len(indexes) in (0, count):
        return _attach(sock, SO_ATTACH_REUSEPORT_CBPF, [(_RETURN, 0, 0, _NONE)])
    program: list[_Instruction] = [(_LOAD_WORD, 0, 0, _RANDOM), (_MODULO, 0, 0, len(indexes))]
    for number, index in enumerate(indexes):
        program += [(_JUMP_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, index)]
    return _attach(sock, SO_ATTACH_REUSEPORT_CBPF, [*program, (_RETURN, 0, 0, _NONE)])


def _attach(sock: socket.socket, option: int, program: Sequence[_Instruction]) -> bool:
    code = array("B", b"".join(struct.pack("HBBI", *one) for one in program))
    address, _ = code.buffer_info()  # `code` is alive until the kernel has copied it
    try:
        sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("HP", len(program), address))
    except OSError:
        return False
    return True

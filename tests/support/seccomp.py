"""Starts a program to which some system calls do not exist, as on an old kernel or in a container with an old filter.

Usage: seccomp.py NUMBER,... PROGRAM ARGUMENT...
"""

import ctypes
import os
import struct
import sys

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 22, 38
SECCOMP_MODE_FILTER = 2
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, FAIL_WITH_ENOSYS = 0x7FFF0000, 0x00050000 | 38


def program(numbers):
    """The filter: loads the number of the call, compares it with each of these, and returns what to do."""
    lines = [(LOAD, 0, 0, 0)]
    for index, number in enumerate(numbers):
        lines.append((JUMP_IF_EQUAL, len(numbers) - index, 0, number))
    lines += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, FAIL_WITH_ENOSYS)]
    return lines


def main():
    lines = program([int(number) for number in sys.argv[1].split(",")])
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in lines))
    header = struct.pack("HxxxxxxQ", len(lines), ctypes.addressof(code))
    filter = ctypes.create_string_buffer(header)
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in [
        (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(filter), 0, 0),
    ]:
        if libc.prctl(arguments[0], *[ctypes.c_ulong(one) for one in arguments[1:]]) != 0:
            sys.exit("prctl: " + os.strerror(ctypes.get_errno()))
    os.execv(sys.argv[2], sys.argv[2:])


main()

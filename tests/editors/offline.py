"""offline.py COMMAND...: runs it in a network namespace of its own, in which only the loopback interface exists (Linux).

Editors and servers talk to themselves over 127.0.0.1; whatever else they tried would fail at once.
"""

import fcntl
import os
import socket
import struct
import sys

_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 0x1


def raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh", b"lo", 0)
        flags = struct.unpack("16sh", fcntl.ioctl(any_socket, _GET_FLAGS, request + bytes(22))[:18])[1]
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh", b"lo", flags | _UP) + bytes(22))


if __name__ == "__main__":
    if sys.argv[1] == "--inside":
        raise_loopback()
        os.execvp(sys.argv[2], sys.argv[2:])
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    inside = [sys.executable, __file__, "--inside", *sys.argv[1:]]
    os.execvp("unshare", ["unshare", "--net", *as_root, "--", *inside])

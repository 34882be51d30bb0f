"""A process of the floor on gipc: connects, starts its children with gipc, moves its bytes through a pipe of gipc, and joins
its children. Arguments: the socket, and the tree of processes as in floor.rs."""

import json
import socket
import sys

import gevent
import gipc

BLOCK = 64 << 10


def move_bytes(count):
    """Sends this many bytes through a pipe of gipc and receives them."""
    if count == 0:
        return
    with gipc.pipe(encoder=None, decoder=None) as (reader, writer):

        def write():
            left = count
            while left > 0:
                writer.put(b"1" * min(left, BLOCK))
                left -= BLOCK

        writing = gevent.spawn(write)
        received = 0
        while received < count:
            received += len(reader.get())
        writing.get()


def node(address, tree):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address)
    count, *children = tree
    started = [gipc.start_process(node, args=(address, child)) for child in children]
    move_bytes(count)
    for child in started:
        child.join()


if __name__ == "__main__":
    node(sys.argv[1], json.loads(sys.argv[2]))

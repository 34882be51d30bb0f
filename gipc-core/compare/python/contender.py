"""gipc or multiprocessing under load: `contender.py gipc|multiprocessing|shared_memory WORKLOAD SIZE COUNT`, the same
contract as `bench`. They are used as their documentation shows: gipc with a raw pipe, multiprocessing with a Pipe and its
bytes, and shared memory as one block that the sender fills when the receiver has copied the message before."""

import json
import resource
import sys
import time


class Usage:
    """Processor time and page faults of this process and its reaped children, since it began or between two moments."""

    def __init__(self):
        own = resource.getrusage(resource.RUSAGE_SELF)
        reaped = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.clock = time.perf_counter()
        self.cpu = own.ru_utime + own.ru_stime + reaped.ru_utime + reaped.ru_stime
        self.faults = own.ru_minflt + reaped.ru_minflt

    def since(self, earlier):
        self.clock -= earlier.clock
        self.cpu -= earlier.cpu
        self.faults -= earlier.faults
        return self


def peak_rss_kb():
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0


def serve(connection, kind, count, block=None):
    put, get = WAYS(connection)
    put(b"ready")
    if kind == "word":
        return
    if kind == "stay":
        try:
            get()
        except EOFError:
            pass
        return
    began = Usage()
    buffer = bytearray()
    for _ in range(count):
        if kind == "reused":
            size = int.from_bytes(get(), "little")
            if len(buffer) < size:
                buffer = bytearray(size)
            connection.recv_bytes_into(buffer)
        elif kind == "shared":
            get()
            message = bytes(block.buf)
            put(b"taken")
        else:
            message = get()
            if kind == "pingpong":
                put(message)
    used = Usage().since(began)
    put(b"%f %d %d" % (used.cpu, used.faults, peak_rss_kb()))
    if block:
        block.close()


if len(sys.argv) != 5:
    sys.exit("usage: contender.py gipc|multiprocessing|shared_memory WORKLOAD SIZE COUNT")

if sys.argv[1] == "gipc":
    import gipc

    def WAYS(handle):
        return handle.put, handle.get

    def start(kind, count=0):
        near, far = gipc.pipe(duplex=True, encoder=None, decoder=None)
        return near, gipc.start_process(serve, args=(far, kind, count))
else:
    import multiprocessing

    def WAYS(connection):
        return connection.send_bytes, connection.recv_bytes

    def start(kind, count=0, block=None):
        near, far = multiprocessing.Pipe()
        child = multiprocessing.Process(target=serve, args=(far, kind, count, block))
        child.start()
        far.close()
        return near, child


def run(workload, size, count):
    """Returns what was used, and what the child measured of itself in its words."""
    if workload == "spawnseq":
        began = Usage()
        for _ in range(count):
            near, child = start("word")
            WAYS(near)[1]()
            child.join()
            near.close()
        return Usage().since(began), b"0 0 0"
    if workload in ("spawnconc", "alive"):
        began = Usage()
        children = [start("stay" if workload == "alive" else "word") for _ in range(count)]
        for near, _ in children:
            WAYS(near)[1]()
        for near, child in children:
            # A forked sibling holds a copy of this end, so that the child would not see the end of a closed one.
            if workload == "alive":
                WAYS(near)[0](b"go")
            child.join()
            near.close()
        return Usage().since(began), b"0 0 0"
    if sys.argv[1] == "shared_memory":
        return share(workload, size, count)
    if workload not in ("oneway", "fresh", "reused", "pingpong"):
        sys.exit("no workload is called " + workload)
    near, child = start(workload, count)
    put, get = WAYS(near)
    get()
    message = b"\7" * size
    began = Usage()
    for _ in range(count):
        if workload == "reused":
            put(size.to_bytes(8, "little"))
        put(b"\7" * size if workload == "fresh" else message)
        if workload == "pingpong":
            get()
    words = get()
    used = Usage().since(began)
    child.join()
    return used, words


def share(workload, size, count):
    from multiprocessing import shared_memory

    block = shared_memory.SharedMemory(create=True, size=size)
    try:
        near, child = start("shared", count, block)
        near.recv_bytes()
        message = b"\7" * size
        began = Usage()
        for _ in range(count):
            block.buf[:size] = b"\7" * size if workload == "fresh" else message
            near.send_bytes(b"full")
            near.recv_bytes()
        words = near.recv_bytes()
        used = Usage().since(began)
        child.join()
        return used, words
    finally:
        block.close()
        block.unlink()


def main():
    workload, size, count = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    used, words = run(workload, size, count)
    cpu, faults, rss = words.split()
    print(json.dumps({
        "seconds": used.clock,
        "messages": count,
        "bytes": count * size,
        "cpu_seconds": used.cpu + float(cpu),
        "page_faults": used.faults + int(faults),
        "peak_rss_kb_parent": peak_rss_kb(),
        "peak_rss_kb_child": int(rss),
    }))


if __name__ == "__main__":
    main()

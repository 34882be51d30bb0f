"""gipc or multiprocessing under load: `contender.py gipc|multiprocessing WORKLOAD SIZE COUNT`, the same contract as
`bench`. Both are used as their documentation shows: gipc with a raw pipe, multiprocessing with a Pipe and its bytes."""

import json
import resource
import sys
import time


def cpu_seconds():
    own = resource.getrusage(resource.RUSAGE_SELF)
    reaped = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + reaped.ru_utime + reaped.ru_stime


def peak_rss_kb():
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0


def serve(connection, kind, count):
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
    cpu = cpu_seconds()
    for _ in range(count):
        message = get()
        if kind == "pingpong":
            put(message)
    put(b"%f %d" % (cpu_seconds() - cpu, peak_rss_kb()))


if len(sys.argv) != 5:
    sys.exit("usage: contender.py gipc|multiprocessing WORKLOAD SIZE COUNT")

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

    def start(kind, count=0):
        near, far = multiprocessing.Pipe()
        child = multiprocessing.Process(target=serve, args=(far, kind, count))
        child.start()
        far.close()
        return near, child


def run(workload, size, count):
    """Returns how long it took, and what the child measured of itself."""
    if workload == "spawnseq":
        began = time.perf_counter(), cpu_seconds()
        for _ in range(count):
            near, child = start("word")
            WAYS(near)[1]()
            child.join()
            near.close()
        return began, (0, 0)
    if workload in ("spawnconc", "alive"):
        began = time.perf_counter(), cpu_seconds()
        children = [start("stay" if workload == "alive" else "word") for _ in range(count)]
        for near, _ in children:
            WAYS(near)[1]()
        for near, child in children:
            # A forked sibling holds a copy of this end, so that closing it would tell nobody.
            if workload == "alive":
                WAYS(near)[0](b"go")
            child.join()
            near.close()
        return began, (0, 0)
    if workload not in ("oneway", "pingpong"):
        sys.exit("no workload is called " + workload)
    near, child = start(workload, count)
    put, get = WAYS(near)
    get()
    message = b"\7" * size
    began = time.perf_counter(), cpu_seconds()
    for _ in range(count):
        put(message)
        if workload == "pingpong":
            get()
    cpu, rss = get().split()
    ended = time.perf_counter(), cpu_seconds()
    child.join()
    return (began[0] + time.perf_counter() - ended[0], began[1] + cpu_seconds() - ended[1]), (float(cpu), int(rss))


def main():
    workload, size, count = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    began, (cpu, rss) = run(workload, size, count)
    print(json.dumps({
        "seconds": time.perf_counter() - began[0],
        "messages": count,
        "bytes": count * size,
        "cpu_seconds": cpu_seconds() - began[1] + cpu,
        "peak_rss_kb_parent": peak_rss_kb(),
        "peak_rss_kb_child": rss,
    }))


if __name__ == "__main__":
    main()

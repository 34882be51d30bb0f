"""gipc, made wrong in the way that the first argument names. The agent is the adapter's own."""

import os
import select
import sys

fault = sys.argv.pop(1)
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../adapters/gipc-python"))

import agent  # noqa: E402
import gevent  # noqa: E402
import gevent.event  # noqa: E402
import gipc  # noqa: E402
import gipc.gipc as inside  # noqa: E402

play, start, child = agent.play, gipc.start_process, inside._child
receive, get = inside._GIPCReader._recv_in_buffer, inside._GIPCReader.get


def inherit(target, args, kwargs):
    given = list(inside._filter_handles(list(args) + list(kwargs.values())))
    inside._all_handles[:] = [handle for handle in inside._all_handles if handle in given]
    child(target, args, kwargs)


def keep(target, args=(), **more):
    for handle in inside._filter_handles(args):
        os.dup(handle._fd)
    return start(target, args=args, **more)


def is_deaf(reader, n):
    if not select.select([reader._fd], [], [], 0)[0]:
        gevent.event.Event().wait()
    return receive(reader, n)


def block(reader, timeout=None):
    select.select([reader._fd], [], [])
    return get(reader, timeout)


def lock(reader, timeout=None):
    if getattr(reader, "taken", False):
        gevent.event.Event().wait()
    reader.taken = True
    got = get(reader, timeout)
    reader.taken = False
    return got


def tick():
    while True:
        gevent.sleep(0.01)


def ticking(role, *more):
    if role == "clock":
        gevent.spawn(tick)
    play(role, *more)


if fault == "inherits":
    inside._child = inherit
elif fault == "keeps":
    gipc.start_process = keep
elif fault == "deaf":
    inside._GIPCReader._recv_in_buffer = is_deaf
elif fault == "blocks":
    inside._GIPCReader.get = block
elif fault == "locks":
    inside._GIPCReader.get = lock
elif fault == "ticks":
    agent.play = ticking

agent.play(sys.argv[1], [], set(), [])

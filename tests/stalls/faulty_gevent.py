"""gipc with an injected fault, which the first argument names. The agent is that of the adapter."""

import os
import select
import sys

fault = sys.argv.pop(1)
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../adapters/gipc-python"))

import agent  # noqa: E402
import gevent  # noqa: E402
import gevent.event  # noqa: E402
import gipc  # noqa: E402
import gipc.gipc as internals  # noqa: E402

original_play, original_start, original_child = agent.play, gipc.start_process, internals._child
original_receive, original_get = internals._GIPCReader._recv_in_buffer, internals._GIPCReader.get


def child_that_inherits(target, args, kwargs):
    given = list(internals._filter_handles(list(args) + list(kwargs.values())))
    internals._all_handles[:] = [handle for handle in internals._all_handles if handle in given]
    original_child(target, args, kwargs)


def start_that_keeps(target, args=(), **more):
    for handle in internals._filter_handles(args):
        os.dup(handle._fd)
    return original_start(target, args=args, **more)


def receive_without_wakeup(reader, n):
    if not select.select([reader._fd], [], [], 0)[0]:
        gevent.event.Event().wait()
    return original_receive(reader, n)


def get_that_blocks(reader, timeout=None):
    select.select([reader._fd], [], [])
    return original_get(reader, timeout)


def get_that_keeps_its_lock(reader, timeout=None):
    if getattr(reader, "taken", False):
        gevent.event.Event().wait()
    reader.taken = True
    message = original_get(reader, timeout)
    reader.taken = False
    return message


def tick():
    while True:
        gevent.sleep(0.01)


def play_with_a_clock(role, *more):
    if role == "clock":
        gevent.spawn(tick)
    original_play(role, *more)


if fault == "inherits":
    internals._child = child_that_inherits
elif fault == "keeps":
    gipc.start_process = start_that_keeps
elif fault == "deaf":
    internals._GIPCReader._recv_in_buffer = receive_without_wakeup
elif fault == "blocks":
    internals._GIPCReader.get = get_that_blocks
elif fault == "locks":
    internals._GIPCReader.get = get_that_keeps_its_lock
elif fault == "ticks":
    agent.play = play_with_a_clock

agent.play(sys.argv[1], [], set(), [])

"""start_process() in a thread without gevent's loop raises TypeError, and a process was started."""
import multiprocessing
import threading

import gipc


def child(writer):
    writer.put("the child runs")


def start():
    try:
        gipc.start_process(child, (writer,))
    except TypeError as error:
        raised.append(error)


raised = []
reader, writer = gipc.pipe()
thread = threading.Thread(target=start)
thread.start()
thread.join()
children = list(multiprocessing.process._children)
multiprocessing.process._children.clear()  # at exit they would be joined, which raises AttributeError
print("expected: start_process() works in a thread, or raises before there is a process")
print("observed:", *raised, "- and processes that were started:", [process.pid for process in children])
raise SystemExit(0 if raised and len(children) == 1 else 1)

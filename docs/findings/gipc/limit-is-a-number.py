"""get(timeout=0.1) waits without a limit, and then raises AttributeError."""
import gevent
import gipc

reader, writer = gipc.pipe()
getting = gevent.spawn(reader.get, timeout=0.1)
getting.join(timeout=2)
ended_in_time = getting.ready()
writer.put("late")
getting.join(timeout=2)
error = type(getting.exception).__name__ if getting.ready() else "still waiting"
print("expected: get(timeout=0.1) raises TypeError at once")
print("observed: it ended within two seconds:", str(ended_in_time) + ", and after a message came:", error)
raise SystemExit(0 if not ended_in_time and error == "AttributeError" else 1)

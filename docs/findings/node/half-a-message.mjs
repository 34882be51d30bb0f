// A child that is killed in the middle of a message looks like one that has disconnected: no error, and no message.
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";

const size = 64 << 20;
if (process.argv[2] === "child") {
  process.send(Buffer.alloc(size));
  process.kill(process.pid, "SIGKILL"); // a part of the message is in the channel
} else {
  const child = fork(fileURLToPath(import.meta.url), ["child"], { serialization: "advanced" });
  const events = [];
  for (const event of ["message", "error", "disconnect"]) child.on(event, () => events.push(event));
  child.on("exit", () => setTimeout(() => {
    console.log("expected: an error event, or any other way to tell that a message was cut off");
    console.log("observed:", events.join(", "));
    process.exit(events.join() === "disconnect" ? 0 : 1);
  }, 200));
}

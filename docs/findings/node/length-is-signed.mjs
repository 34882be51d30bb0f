// A message of two gibibytes through a channel with serialization "advanced" is taken for one of a negative length.
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";

if (process.argv[2] === "sender") {
  process.send(Buffer.alloc(2 ** 31 - 1), () => process.disconnect());
} else {
  const child = fork(fileURLToPath(import.meta.url), ["sender"], { serialization: "advanced" });
  console.log("expected: a message of 2147483647 bytes, or an error of send()");
  process.on("uncaughtException", (error) => {
    console.log("observed:", error.message);
    child.kill();
    process.exit(0);
  });
  child.on("message", (message) => {
    console.log("observed: a message of", message.length, "bytes");
    process.exit(1);
  });
}

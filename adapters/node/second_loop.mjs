// A second event loop in each process, for the variant `two-loops`: a worker thread, which starts, hears and joins a child of its
// own while the main thread starts one.

import { spawn } from "node:child_process";
import { Worker, isMainThread, parentPort } from "node:worker_threads";

const GREETING = "from the child of the second loop\n";

/** Resolves to what is wrong with a child of this thread, or to "". */
function childOfItsOwn() {
  return new Promise((resolve) => {
    let output = "";
    const child = spawn("echo", [GREETING.trim()], { stdio: ["ignore", "pipe", "inherit"] });
    child.stdout.on("data", (data) => (output += data));
    child.on("error", (error) => resolve(`start: ${error.message}`));
    child.on("close", (code) => resolve(output === GREETING && code === 0 ? "" : `output ${output}, exit code ${code}`));
  });
}

if (!isMainThread) parentPort.on("message", async () => parentPort.postMessage(await childOfItsOwn()));

export class SecondLoop {
  waiting = [];

  /** Makes the second loop, which has had a child by then: what its first child makes is part of the process from the start. */
  static async turning() {
    const loop = new SecondLoop();
    await loop.beside(() => {});
    return loop;
  }

  constructor() {
    this.worker = new Worker(new URL(import.meta.url));
    this.worker.on("message", (wrong) => this.waiting.shift()(wrong));
  }

  /** Resolves to the result of `start`, while the second loop has a child. Rejects if `start` does, or else if something was wrong in
   * the second loop. */
  async beside(start) {
    const other = new Promise((resolve) => this.waiting.push(resolve));
    this.worker.ref(); // at other times it does not keep the process from ending
    this.worker.postMessage(null);
    const [started, wrong] = await Promise.allSettled([(async () => start())(), other]);
    if (this.waiting.length === 0) this.worker.unref();
    if (started.status === "rejected") throw started.reason;
    if (wrong.value) throw new Error(`second loop: ${wrong.value}`);
    return started.value;
  }
}

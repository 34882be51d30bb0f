// child_process.fork with an injected fault, which the first argument names. The agent is that of the adapter.

import { fileURLToPath } from "node:url";
import { Fork, Side, play } from "../../adapters/node/agent.mjs";

const [fault] = process.argv.splice(2, 1);
const { get } = Side.prototype;
const never = () => new Promise(() => {});

const faults = {
  /** A get that has to wait is never woken. */
  deaf(signal) {
    return this.arrived.length > 0 ? get.call(this, signal) : never();
  },
  /** A get that has to wait blocks the whole process. */
  blocks(signal) {
    if (this.arrived.length === 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    return get.call(this, signal);
  },
  /** A get that timed out does not release its lock. */
  async locks(signal) {
    if (this.taken) return never();
    this.taken = true;
    const message = await get.call(this, signal);
    this.taken = false;
    return message;
  },
};

if (fault in faults) Side.prototype.get = faults[fault];
// A timer in the process "clock"; it is not a fault.
if (fault === "ticks" && process.argv[2] === "clock") setInterval(() => {}, 10);
// Child processes get the same fault.
Fork.program = [fileURLToPath(import.meta.url), fault];
await play();

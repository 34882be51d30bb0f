// The agent of a Node library in a few lines: this is the whole conversation with the harness. README.md says how it is
// used. Here nothing is known of the library; what the contract wants done without it is in by_hand.mjs.

import { connect } from "node:net";
import { createInterface } from "node:readline";
import { Unsupported, byHand, message } from "./by_hand.mjs";

export { Unsupported, content, ended } from "./by_hand.mjs";

// The verbs that a profile beyond core asks; `count`, and what `pipe` and `spawn` may carry, are looked at below.
const PROFILES = {
  cancel: "tasks", pause: "tasks", terminate: "process", alive: "process", code: "process", stall: "process",
  reaped: "process", reap: "process", raise: "process", exec: "process", cut: "frames", rest: "frames",
  announce: "frames", trap: "signals", ignore: "signals", block: "signals", signal: "signals", limit: "limits",
  enter: "scope", leave: "scope", pass: "oddities",
};

/** An answer with more beside the outcome: the descriptors of new handles, the number of a child. */
export class Answer {
  constructor(outcome, more) {
    Object.assign(this, { outcome, more });
  }
}

/** A promise that is given up when the step is cancelled or its time is over. */
export function orGivenUp(signal, promise) {
  const givenUp = new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason));
  });
  return Promise.race([promise, givenUp]);
}

/** Talks until the script of this process is done; what is open then is the adapter's to leave. */
export function serve(Adapter, role) {
  const agent = new Adapter(role);
  const { name, version, profiles } = Adapter;
  const { pid, env } = process;
  const [lanes, steps] = [new Map(), new Map()];
  const own = byHand(agent);
  own.cancel = ({ task }) => steps.get(task)?.abort("cancelled");

  const socket = connect(env.GIPC_HARNESS_SOCKET);
  const say = (words) => socket.writable && socket.write(JSON.stringify(words) + "\n");

  function method({ verb, ...order }) {
    let profile = PROFILES[verb] ?? "core";
    if (verb === "count") profile = order.what === "handles" ? "counts" : "signals";
    if (order.codec) profile = "codec";
    if (order.listed) profile = "oddities";
    if (!profiles.includes(profile)) throw new Unsupported(`${verb} is of the profile ${profile}, which is not here`);
    const found = agent[verb]?.bind(agent) ?? own[verb];
    if (!found) throw new Unsupported(`there is no ${verb} here`);
    return found;
  }

  async function perform(words) {
    const { verb, ...order } = words.do;
    const found = method(words.do);
    const stop = new AbortController();
    const limit = words.within_ms;
    const late = limit === undefined ? undefined : setTimeout(() => stop.abort("timeout"), limit);
    steps.set(words.task, stop);
    try {
      return await found(order, stop.signal, limit);
    } finally {
      clearTimeout(late);
    }
  }

  function outcome(value) {
    if (value === undefined || value === null) return { is: "ok" };
    if (typeof value === "string") return { is: value };
    if (typeof value === "boolean") return { is: value ? "yes" : "no" };
    if (typeof value === "number") return { is: "number", n: value };
    return value instanceof Uint8Array ? message(value) : value;
  }

  async function step(words) {
    const about = { id: words.id, pid };
    say({ type: "begin", ...about });
    try {
      const value = await perform(words);
      const { outcome: said, more } = value instanceof Answer ? value : new Answer(value, {});
      say({ type: "end", ...about, outcome: outcome(said), ...more });
    } catch (error) {
      if (error instanceof Unsupported) return say({ type: "unsupported", ...about, reason: error.message });
      const givenUp = error === "cancelled" || error === "timeout";
      const is = givenUp ? { is: error } : agent.explain(error);
      say({ type: "end", ...about, outcome: is, ...(givenUp ? {} : { detail: String(error) }) });
    }
  }

  return new Promise((finish) => {
    function hear(words) {
      if (words.type === "step") {
        const before = lanes.get(words.task) ?? Promise.resolve();
        lanes.set(words.task, before.then(() => step(words)));
      } else if (words.type === "ping") {
        // What Node does at once may take a turn of its loop or two.
        setImmediate(() => setImmediate(() => say({ type: "pong", n: words.n })));
      } else if (words.type === "finish") {
        if (profiles.includes("counts")) say({ type: "left", handles: agent.live() });
        socket.unref(); // it is open until the process is gone, and keeps it no longer
        finish();
      } else if (words.type === "reject") {
        process.exit(1);
      } else if (words.type !== "welcome") {
        say({ type: "fault", reason: `unknown message ${words.type}` });
      }
    }
    createInterface({ input: socket }).on("line", (line) => hear(JSON.parse(line)));
    socket.on("error", () => process.exit(1));
    socket.on("close", () => process.exit(1)); // the harness is gone: nobody needs this process
    const implementation = { name, version };
    const token = env.GIPC_HARNESS_TOKEN;
    say({ type: "hello", protocol: 1, token, role, pid, implementation, profiles, control: "loop" });
  });
}

// The agent of NAME. It implements channels within one process: replace them with your library.

import { Unsupported, content, orGivenUp, serve } from "../kit/node/gipc_agent.mjs";

class Channels {
  static name = "NAME";
  static version = process.versions.node;
  static profiles = ["core", "tasks"];
  handles = new Map();
  children = new Map();

  pipe({ reader, writer }) {
    const { port1, port2 } = new MessageChannel();
    const end = { port: port1, received: [], waiting: [], closed: false };
    const deliver = () => {
      while (end.waiting.length > 0 && (end.received.length > 0 || end.closed)) {
        end.waiting.shift()(end.received.shift() ?? "eof");
      }
    };
    port1.on("message", (data) => deliver(end.received.push(data)));
    port1.on("close", () => deliver((end.closed = true)));
    this.handles.set(reader, { ...end, deliver }).set(writer, { port: port2 });
  }

  end(name) {
    if (!this.handles.has(name)) throw Object.assign(new Error(`no ${name}`), { is: "closed" });
    return this.handles.get(name);
  }

  put({ handle, payload }) {
    this.end(handle).port.postMessage(content(payload));
  }

  get({ handle }, signal) {
    const { waiting, deliver } = this.end(handle);
    return orGivenUp(signal, new Promise((resolve) => {
      waiting.push(resolve);
      signal.addEventListener("abort", () => waiting.splice(waiting.indexOf(resolve), 1));
      deliver();
    }));
  }

  close({ handle }) {
    this.end(handle).port.close();
    this.handles.delete(handle);
  }

  spawn() {
    throw new Unsupported("a port goes to a thread, not to a process");
  }

  explain(error) {
    return { is: error.is ?? "other" };
  }
}

await serve(Channels, process.argv[2]);
process.exit(); // open ports would keep the process running

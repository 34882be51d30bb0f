// The agent of Node's child_process.fork with `serialization: "advanced"`. README.md has the details.

import { fork, spawn } from "node:child_process";
import { writeSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Unsupported, content, ended, orGivenUp, serve } from "../kit/node/gipc_agent.mjs";
import { SecondLoop } from "./second_loop.mjs";

const NOT_CONNECTED = "a channel connects a parent and its child, and exists only after the start";

/** One side of an existing channel: `process` in a child, the child object in its parent. */
export class Side {
  arrived = [];
  waiting = [];
  disconnected = false;
  names = new Set();

  constructor(channel) {
    this.channel = channel;
    channel.on("message", (data) => {
      const wake = this.waiting.shift();
      wake ? wake(data) : this.arrived.push(data);
    });
    channel.on("disconnect", () => {
      this.disconnected = true;
      this.waiting.splice(0).forEach((wake) => wake("eof"));
    });
  }

  get(signal) {
    if (this.arrived.length > 0) return this.arrived.shift();
    if (this.disconnected) return "eof";
    return orGivenUp(signal, new Promise((wake) => {
      this.waiting.push(wake);
      signal.addEventListener("abort", () => (this.waiting = this.waiting.filter((other) => other !== wake)));
    }));
  }

  put(data, signal) {
    return new Promise((sent, failed) => {
      signal.addEventListener("abort", () => failed(new Unsupported("a message that was sent cannot be withdrawn")));
      this.channel.send(data, (error) => (error ? failed(error) : sent()));
    });
  }
}

/** The end of a standard stream of a child. A message has a header of four bytes, its length. */
class Stream {
  constructor(stream) {
    this.stream = stream;
    stream.on("error", () => {}); // a write or a read that fails says so itself
  }

  put(data, signal) {
    const header = Buffer.alloc(4);
    header.writeUInt32BE(data.length);
    return new Promise((sent, failed) => {
      signal.addEventListener("abort", () => failed(new Unsupported("what was written cannot be withdrawn")));
      this.stream.write(Buffer.concat([header, data]), (error) => (error ? failed(error) : sent()));
    });
  }

  async get(signal) {
    const header = await this.read(4, signal);
    if (header.length === 0) return "eof";
    if (header.length < 4) return "truncated";
    const length = header.readUInt32BE();
    const data = length === 0 ? Buffer.alloc(0) : await this.read(length, signal);
    return data.length < length ? "truncated" : data;
  }

  /** So many bytes, or fewer at the end of the stream. */
  async read(length, signal) {
    let bytes = Buffer.alloc(0);
    while (bytes.length < length) {
      const wanted = Math.min(length - bytes.length, Math.max(this.stream.readableLength, 1));
      const chunk = this.stream.read(wanted);
      if (chunk !== null) bytes = Buffer.concat([bytes, chunk]);
      else if (this.stream.readableEnded || this.stream.destroyed) break;
      else await orGivenUp(signal, this.change());
    }
    return bytes;
  }

  /** Waits until there may be more to read. */
  change() {
    return new Promise((resolve) => {
      const events = ["readable", "end", "close", "error"];
      const done = () => {
        events.forEach((event) => this.stream.off(event, done));
        resolve();
      };
      events.forEach((event) => this.stream.on(event, done));
    });
  }
}

const FRAMES = process.env.ADAPTER_FRAMES ? ["frames"] : [];

export class Fork {
  static name = "node";
  static version = process.versions.node;
  static profiles = ["core", "tasks", "process", "signals", "stdio", "drop", "groups", ...FRAMES];
  /** The program of a child: a file, and its first arguments. */
  static program = [fileURLToPath(import.meta.url)];
  /** In the variant `two-loops`. */
  static secondLoop = null;
  children = new Map();
  /** By name: what `cut` has left of a frame. */
  rests = new Map();
  /** By name: the end of a standard stream of a child, or null once it is destroyed. */
  streams = new Map();
  /** By name: the side of a channel, or null as long as the channel does not exist. */
  handles = new Map();
  /** By name: the name of the other end, and the directions of its messages, seen from this process. */
  created = new Map();

  constructor() {
    const given = JSON.parse(process.argv[3] ?? "[]");
    const side = given.length > 0 ? new Side(process) : null;
    given.forEach((name) => this.bind(name, side));
  }

  bind(name, side) {
    this.handles.set(name, side);
    side.names.add(name);
  }

  side(name) {
    if (/\.[rw]$/.test(name)) throw new Unsupported("a channel has no halves");
    const side = this.handles.get(name);
    if (side === undefined) throw Object.assign(new Error(`this process has no ${name}`), { is: "closed" });
    if (side === null) throw new Unsupported(NOT_CONNECTED);
    return side;
  }

  pipe({ reader, writer }) {
    this.created.set(reader, { other: writer, directions: "in" }).set(writer, { other: reader, directions: "out" });
    this.handles.set(reader, null).set(writer, null);
  }

  duplex({ near, far }) {
    this.created.set(near, { other: far, directions: "in out" }).set(far, { other: near, directions: "in out" });
    this.handles.set(near, null).set(far, null);
  }

  spawn(command) {
    const start = () => this.start(command);
    return Fork.secondLoop ? Fork.secondLoop.beside(start) : start();
  }

  start({ child, handles, in_group: detached = false }) {
    for (const name of handles) {
      if (!this.handles.has(name)) throw Object.assign(new Error(`this process has no ${name}`), { is: "closed" });
      const { other } = this.created.get(name) ?? {};
      if (this.handles.get(name) !== null || !this.handles.has(other)) throw new Unsupported(NOT_CONNECTED);
    }
    const directions = handles.flatMap((name) => this.created.get(name).directions.split(" "));
    if (new Set(directions).size < directions.length) {
      throw new Unsupported("a child has one channel, with one stream of messages in each direction");
    }
    const [file, ...args] = Fork.program;
    const process_ = fork(file, [...args, child, JSON.stringify(handles)], { serialization: "advanced", detached });
    this.children.set(child, process_);
    const side = new Side(process_);
    for (const name of handles) {
      this.handles.delete(name);
      this.bind(this.created.get(name).other, side);
    }
    return new Promise((started, failed) => {
      process_.once("spawn", () => started("ok"));
      process_.once("error", failed);
    });
  }

  run({ child, argv, in_group: detached = false, ...streams }) {
    const names = ["stdin", "stdout", "stderr"];
    if (names.some((name) => streams[name]?.given)) {
      throw new Unsupported("a stream belongs to the child that it was made for");
    }
    const stdio = names.map((name) => (streams[name] ? "pipe" : "inherit"));
    const process_ = spawn(argv[0], argv.slice(1), { stdio, detached });
    return new Promise((started, failed) => {
      process_.once("spawn", () => {
        this.children.set(child, process_);
        for (const name of names.filter((name) => streams[name])) {
          this.streams.set(streams[name].pipe, new Stream(process_[name]));
        }
        started("ok");
      });
      process_.once("error", failed);
    });
  }

  // Where the variant declares frames, a child writes to the descriptor of its channel behind the back of Node.

  announce({ handle, size }) {
    const header = Buffer.alloc(4);
    header.writeUInt32BE(Math.min(size, 2 ** 32 - 1));
    this.write(handle, header);
  }

  cut({ handle, payload, at: { bytes = 0, header = 0 } }) {
    const data = content(payload);
    // Version 15 of V8's format, a host object, and in it a Buffer of fewer than 128 bytes.
    const message = Buffer.concat([Buffer.from([0xff, 0x0f, 0x5c, 0, 10, data.length]), data]);
    const frame = Buffer.concat([Buffer.from([0, 0, 0, message.length]), message]);
    const position = header ? 4 + header : bytes;
    this.rests.set(handle, frame.subarray(position));
    this.write(handle, frame.subarray(0, position));
  }

  rest({ handle }) {
    this.write(handle, this.rests.get(handle));
  }

  write(handle, bytes) {
    writeSync(this.side(handle).channel.channel.fd, bytes);
  }

  drop({ child }) {
    this.children.delete(child);
  }

  put({ handle, payload }, signal, limit) {
    if (this.streams.has(handle)) return this.stream(handle).put(content(payload), signal);
    if (limit !== undefined) throw new Unsupported("send takes no time limit");
    return this.side(handle).put(content(payload), signal);
  }

  get({ handle }, signal) {
    if (this.streams.has(handle)) return this.stream(handle).get(signal);
    return this.side(handle).get(signal);
  }

  stream(name) {
    const stream = this.streams.get(name);
    if (stream === null) throw Object.assign(new Error(`${name} is destroyed`), { is: "closed" });
    return stream;
  }

  close({ handle }) {
    if (this.streams.has(handle)) {
      const { stream } = this.stream(handle);
      this.streams.set(handle, null);
      if (stream.destroyed) return undefined; // Node destroys the stdin of a child that has ended
      return new Promise((closed) => {
        stream.once("close", () => closed());
        stream.destroy();
      });
    }
    const side = this.side(handle);
    if (side.names.size > 1) throw new Unsupported("disconnect ends both directions at once");
    this.handles.delete(handle);
    if (side.channel.connected) side.channel.disconnect();
  }

  async join({ child }, signal) {
    const process_ = this.children.get(child);
    const exited = () => new Promise((resolve) => process_.once("exit", resolve));
    if (ended(process_).is === "running") {
      await orGivenUp(signal, exited()).catch((reason) => reason === "timeout" || Promise.reject(reason));
    }
    return ended(process_);
  }

  kill({ child }) {
    this.children.get(child).kill("SIGKILL");
  }

  terminate({ child }) {
    this.children.get(child).kill();
  }

  alive({ child }) {
    return ended(this.children.get(child)).is === "running";
  }

  code({ child }) {
    return ended(this.children.get(child));
  }

  explain(error) {
    if (error.is) return { is: error.is };
    if (error.code === "ERR_STREAM_DESTROYED") return { is: "closed" };
    if (["ERR_IPC_CHANNEL_CLOSED", "EPIPE", "ECONNRESET"].includes(error.code)) return { is: "broken" };
    return error.syscall ? { is: "os", name: error.code } : { is: "other" };
  }
}

/** Runs one process of a scenario. */
export async function play() {
  if (process.env.ADAPTER_TWO_LOOPS) Fork.secondLoop = await SecondLoop.turning();
  await serve(Fork, process.argv[2]);
  if (process.connected) process.disconnect(); // a child that listens to its channel would never end
}

if (process.argv[1] === Fork.program[0]) await play();

// The WebSocket: messages of the instrument as JSON, previews as binary. It reconnects by itself, asks for what it missed,
// acknowledges a preview only after it was drawn, and asks for none while nobody sees the page.

const FIRST_WAIT_MS = 300;
const LONGEST_WAIT_MS = 5000;
const SILENT_MS = 6000; // the instrument says something each second
const HEADER_BYTES = 16;
const FULL = 1013; // too many pages are open

export class Live {
  // on: message(json), preview({sequence, at, jpeg}) -> Promise, link(state, sinceMs) with "open", "lost" or "full".
  constructor(on) {
    this.on = on;
    this.entry = 0;
    this.wait = FIRST_WAIT_MS;
    this.heard = 0;
    document.addEventListener("visibilitychange", () => this.look());
    setInterval(() => this.check(), 1000);
  }

  open() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/api/v1/live`);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.heard = performance.now();
    socket.onopen = () => {
      this.heard = performance.now();
      this.wait = FIRST_WAIT_MS;
      this.on.link("open");
      if (this.entry) this.ask(this.entry);
      if (document.hidden) this.look();
    };
    socket.onmessage = (event) => this.take(socket, event.data);
    socket.onclose = (event) => {
      if (this.socket !== socket) return;
      this.socket = null;
      this.on.link(event.code === FULL ? "full" : "lost");
      setTimeout(() => this.open(), this.wait);
      this.wait = Math.min(this.wait * 2, LONGEST_WAIT_MS);
    };
  }

  async take(socket, data) {
    this.heard = performance.now();
    if (typeof data === "string") {
      const message = JSON.parse(data);
      this.on.message(message);
      this.entry = Math.max(this.entry, entryOf(message));
      return;
    }
    const view = new DataView(data);
    await this.on.preview({ sequence: view.getUint32(0), at: view.getFloat64(8), jpeg: data.slice(HEADER_BYTES) });
    if (this.socket !== socket) return;
    this.send({ kind: "ready" });
  }

  // What the record has behind an entry is told, then `link` with how much that was.
  ask(entry) {
    this.send({ kind: "since", entry });
  }

  look() {
    this.send({ kind: "watch", previews: !document.hidden });
  }

  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  // A connection that is silent for long is dead, whatever the browser thinks of it.
  check() {
    if (this.socket && performance.now() - this.heard > SILENT_MS) {
      const dead = this.socket;
      dead.onclose = dead.onmessage = dead.onopen = null;
      dead.close();
      this.socket = null;
      this.on.link("lost");
      setTimeout(() => this.open(), this.wait);
      this.wait = Math.min(this.wait * 2, LONGEST_WAIT_MS);
    }
  }
}

// The newest entry of the record that a message tells of. `state` counts on ahead of what was told.
function entryOf(message) {
  if (["verdict", "slide", "correction", "event"].includes(message.kind)) return message.id ?? 0;
  return message.kind === "link" ? (message.entry ?? 0) : 0;
}

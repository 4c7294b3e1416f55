// The WebSocket: messages of the instrument as JSON, previews as binary. It reconnects by itself, asks for what it missed,
// and acknowledges a preview only after it was drawn, and only while the page is seen: nobody looking costs nothing.

const FIRST_WAIT_MS = 300;
const LONGEST_WAIT_MS = 5000;
const SILENT_MS = 6000; // the instrument says something each second
const HEADER_BYTES = 16;

export class Live {
  // on: message(json), preview({sequence, at, jpeg}) -> Promise, link(state, sinceMs) with "open", "lost" or "refused".
  constructor(on) {
    this.on = on;
    this.entry = 0;
    this.wait = FIRST_WAIT_MS;
    this.owed = false;
    this.heard = 0;
    document.addEventListener("visibilitychange", () => this.pay());
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
      if (this.entry) this.send({ kind: "since", entry: this.entry });
      this.owed = true;
      this.pay();
    };
    socket.onmessage = (event) => this.take(socket, event.data);
    socket.onclose = (event) => {
      if (this.socket !== socket) return;
      this.socket = null;
      this.on.link(event.code === 1008 ? "refused" : "lost");
      setTimeout(() => this.open(), this.wait);
      this.wait = Math.min(this.wait * 2, LONGEST_WAIT_MS);
    };
  }

  async take(socket, data) {
    this.heard = performance.now();
    if (typeof data === "string") {
      const message = JSON.parse(data);
      this.entry = Math.max(this.entry, message.entry ?? 0, message.kind === "verdict" ? (message.id ?? 0) : 0);
      this.on.message(message);
      return;
    }
    const view = new DataView(data);
    await this.on.preview({ sequence: view.getUint32(0), at: view.getFloat64(8), jpeg: data.slice(HEADER_BYTES) });
    if (this.socket !== socket) return;
    this.owed = true;
    this.pay();
  }

  pay() {
    if (!this.owed || document.hidden || this.socket?.readyState !== WebSocket.OPEN) return;
    this.owed = false;
    this.send({ kind: "ready" });
  }

  send(message) {
    this.socket.send(JSON.stringify(message));
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

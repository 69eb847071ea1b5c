// A call by npm's `ws`, so that another websocket implementation has its say:
//
//     node caller_ws.js ws://127.0.0.1:PORT/convo FRAMES
//
// Sends a call of so many frames at real time, and more until it has heard
// something; returns marks, prints one JSON object of what it saw. Debian's
// node-ws, or one on NODE_PATH.
"use strict";
const WebSocket = require("ws");
const [url, frames] = process.argv.slice(2);
const streamSid = "MZ" + "a".repeat(32);
const callSid = "CA" + "a".repeat(32);
const seen = {media: 0, bytes: 0, mark: 0, clear: 0, pings: 0, binary: 0};
let sequence = 0;

// A peer that offers compression, as browsers do, and gets none
const ws = new WebSocket(url, {perMessageDeflate: true});

function send(event, body) {
    sequence += 1;
    ws.send(JSON.stringify({event, sequenceNumber: String(sequence),
                            streamSid, [event]: body}));
}

ws.on("open", () => {
    ws.send(JSON.stringify({event: "connected", protocol: "Call",
                            version: "1.0.0"}));
    send("start", {streamSid, callSid, accountSid: "AC" + "a".repeat(32),
                   tracks: ["inbound"], customParameters: {},
                   mediaFormat: {encoding: "audio/x-mulaw",
                                 sampleRate: 8000, channels: 1}});
    const payload = Buffer.alloc(160, 0xff).toString("base64");
    const begun = process.hrtime.bigint();
    let sent = 0;
    const timer = setInterval(() => {
        const due = Number((process.hrtime.bigint() - begun) / 20000000n);
        const all = () => sent >= Number(frames) && seen.media > 0;
        for (; sent < due && !all(); sent += 1) {
            send("media", {track: "inbound", chunk: String(sent + 1),
                           timestamp: String(sent * 20 + 155), payload});
        }
        if (all()) {
            clearInterval(timer);
            send("stop", {callSid});
            ws.close(1000);
        }
    }, 20);
});

ws.on("message", (data, isBinary) => {
    if (isBinary) {
        seen.binary += 1;
        return;
    }
    const message = JSON.parse(data);
    seen[message.event] += 1;
    if (message.event === "media")
        seen.bytes += Buffer.from(message.media.payload, "base64").length;
    else if (message.event === "mark")
        send("mark", {name: message.mark.name});
});
ws.on("ping", () => { seen.pings += 1; });
ws.on("error", (error) => { seen.error = String(error); });
ws.on("close", (code) => {
    seen.code = code;
    seen.extensions = ws.extensions;
    console.log(JSON.stringify(seen));
});

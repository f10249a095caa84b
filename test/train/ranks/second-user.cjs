// Another user of the machine, for strangers.test.ts: attacks the port of a run's ranks for as long as the run lives. Knows
// the port, as /proc/net/tcp tells everybody, and the run's folder, as far as others may read it.
const { readFileSync } = require('node:fs');
const { connect } = require('node:net');
const { basename } = require('node:path');

const [run, port] = process.argv.slice(2);
const seen = { connected: 0, secrets: 0, closed: 0, heard: 0 };
let open = 0;

function frame(header) {
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length);
  return Buffer.concat([length, text, Buffer.alloc(64)]);
}

function attacks(id) {
  return [
    ...['abort', 'bye'].map((kind) => frame({ kind, rank: 1, bytes: 0, reason: 'by nobody' })),
    frame({ kind: 'hello', rank: 1, worldSize: 2, bytes: 0, session: id }),
    frame({ kind: 'hello', rank: 1, worldSize: 2, bytes: 9007199254740988, session: id }),
    Buffer.concat([Buffer.from('patchwise-rank-1'), Buffer.alloc(64, 7)]),
    Buffer.from('GET /json/list HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'.padEnd(64)),
    Buffer.alloc(0), // and stays
  ];
}

function attack() {
  try {
    readFileSync(`${run}/secret`);
    seen.secrets++;
  } catch {
    // Not ours to read.
  }
  for (const says of open < 400 ? attacks(basename(run)) : []) {
    const socket = connect(Number(port), '127.0.0.1');
    open++;
    socket.on('error', () => {});
    socket.on('close', () => {
      open--;
      seen.closed++;
    });
    socket.on('data', (chunk) => {
      seen.heard = Math.max(seen.heard, chunk.length);
    });
    socket.on('connect', () => {
      seen.connected++;
      if (says.length > 0) socket.write(says);
    });
  }
}

const timer = setInterval(attack, 10);
process.on('message', () => {
  clearInterval(timer);
  process.send(seen, () => process.exit());
});
process.send('ready');

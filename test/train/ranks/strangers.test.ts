import { fork, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Collective } from '../../../src/train/collective/collective';
import { connectLocal } from '../../../src/train/collective/local';
import { freePort } from '../../../src/train/collective/ports';
import { PatchwiseCommand } from '../../command';

const secret = 'what only ranks know';
const open: Collective[] = [];
const sockets: Socket[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((collective) => collective.close()));
  for (const socket of sockets.splice(0)) socket.destroy();
});

/** A frame as ranks send it once they have been admitted, and as many bytes more as a knock has at least. */
function frame(header: object): Buffer {
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length);
  return Buffer.concat([length, text, Buffer.alloc(64)]);
}

/** Connects once somebody listens, and stays; the connection's end is seen in `closed`. */
function visit(port: number, says: Buffer): Promise<{ closed: Promise<void>; heard: () => number }> {
  return new Promise((resolve) => {
    const knock = () => {
      const socket = connect(port, '127.0.0.1');
      let bytes = 0;
      socket.on('data', (chunk) => {
        bytes += chunk.length;
      });
      const closed = new Promise<void>((done) => socket.once('close', () => done()));
      socket.on('error', () => {});
      socket.once('connect', () => {
        sockets.push(socket);
        if (says.length > 0) socket.write(says);
        resolve({ closed, heard: () => bytes });
      });
      closed.then(() => setTimeout(knock, 5));
    };
    knock();
  });
}

const knockWord = Buffer.from('patchwise-rank-1');
const attacks: [string, Buffer][] = [
  ['an abort', frame({ kind: 'abort', rank: 1, bytes: 0, reason: 'by nobody' })],
  ['a bye', frame({ kind: 'bye', rank: 1, bytes: 0 })],
  ['a hello of 2^53 bytes', frame({ kind: 'hello', rank: 1, worldSize: 2, bytes: 9007199254740988 })],
  ['a hello of 3 GB', frame({ kind: 'hello', rank: 1, worldSize: 2, bytes: 3e9 })],
  ['a good hello without the secret', frame({ kind: 'hello', rank: 1, worldSize: 2, bytes: 0 })],
  ['the right word and a wrong proof', Buffer.concat([knockWord, Buffer.alloc(64)])],
  ['a question of the web', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.padEnd(64))],
  ['four bytes that say 4 GB follow', Buffer.alloc(64, 255)],
];

describe('a stranger on the port of rank 0', () => {
  it.each(attacks)('with %s is turned away, and the ranks find one another', async (_, says) => {
    const port = await freePort();
    const options = { worldSize: 2, address: '127.0.0.1', port, secret, timeout: 20 };
    const hub = connectLocal({ ...options, rank: 0 });
    const stranger = await visit(port, says);
    await stranger.closed;
    open.push(await connectLocal({ ...options, rank: 1 }), await hub);
    const arrays = open.map((_, rank) => Float32Array.of(rank + 1));
    await Promise.all(open.map((rank, r) => rank.allReduce([arrays[r]!])));
    expect(arrays.map((array) => array[0])).toEqual([3, 3]);
    expect(stranger.heard()).toBeLessThanOrEqual(64); // a nonce and a proof, no weights
  });

  it('who says nothing keeps neither the ranks nor the process waiting', async () => {
    const port = await freePort();
    const options = { worldSize: 2, address: '127.0.0.1', port, secret, timeout: 20 };
    const hub = connectLocal({ ...options, rank: 0 });
    const silent = await Promise.all(Array.from({ length: 300 }, () => visit(port, Buffer.alloc(0))));
    open.push(await connectLocal({ ...options, rank: 1 }), await hub);
    await Promise.all(silent.map(({ closed }) => closed));
    await Promise.all(open.map((rank) => rank.barrier()));
  });

  it('who came before the group was whole cannot end it later', async () => {
    const port = await freePort();
    const options = { worldSize: 2, address: '127.0.0.1', port, secret, timeout: 20 };
    const hub = connectLocal({ ...options, rank: 0 });
    await visit(port, knockWord);
    open.push(await connectLocal({ ...options, rank: 1 }), await hub);
    for (const socket of sockets) socket.write(frame({ kind: 'abort', rank: 1, bytes: 0, reason: 'late' }));
    await new Promise((resolve) => setTimeout(resolve, 50));
    await Promise.all(open.map((rank) => rank.barrier()));
  });

  it('who plays rank 0 gets no hello and no numbers', async () => {
    let heard = 0;
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', (chunk) => {
        heard = Math.max(heard, chunk.length);
        socket.write(Buffer.concat([Buffer.alloc(64), frame({ kind: 'hello', rank: 0, bytes: 0 })]));
      });
    });
    const port = await new Promise<number>((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
    });
    const rank = connectLocal({ rank: 1, worldSize: 2, address: '127.0.0.1', port, secret, timeout: 0.5 });
    await expect(rank).rejects.toThrow(/is not rank 0 of this run.*MASTER_PORT/);
    expect(heard).toBe(knockWord.length + 32);
    server.close();
  });
});

interface Seen {
  readonly connected: number;
  readonly secrets: number;
  readonly closed: number;
  readonly heard: number;
}

/** Attacks a run as another user, where this test may become one; else as one who was not told the secret. */
async function secondUser(
  run: string,
  port: number,
): Promise<{ end: () => Promise<Seen>; isOther: boolean }> {
  const isOther = process.getuid?.() === 0;
  const child = fork(join(__dirname, 'second-user.cjs'), [run, String(port)], {
    ...(isOther && { uid: 65534, gid: 65534 }),
    cwd: '/',
  });
  const told = () => new Promise<unknown>((resolve) => child.once('message', resolve));
  await told();
  const end = async () => {
    const seen = told();
    child.send('end');
    return (await seen) as Seen;
  };
  return { end, isOther };
}

describe.runIf(process.platform === 'linux')('a second user of the machine', { timeout: 300_000 }, () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'patchwise-strangers-'));
    chmodSync(folder, 0o755); // so that others see what they see in a home folder
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('attacks a run from its start to its end, and the run does not notice', async () => {
    const command = new PatchwiseCommand(() => folder);
    const prepare = async (): Promise<string> => {
      const settings = 'model.hidden=4 model.groups=1 model.codes=16 patch=16,16,16 checkpointEvery=30';
      const data = '--data phantom:32x32x32 --ranks 2 --steps 30 --prepare --set';
      return (await command.json('train', ...data.split(' '), ...settings.split(' '))).dir;
    };
    /** Both ranks, as a launcher starts them. */
    const train = (run: string, port: number) =>
      Promise.all(
        [0, 1].map((rank) => {
          const world = {
            RANK: rank,
            LOCAL_RANK: rank,
            WORLD_SIZE: 2,
            MASTER_ADDR: '127.0.0.1',
            MASTER_PORT: port,
          };
          const environment = Object.entries(world).map(([name, value]) => [name, String(value)]);
          const cli = join(__dirname, '..', '..', '..', 'dist', 'src', 'cli.js');
          const child = spawn(process.execPath, [cli, 'rank', run], {
            env: { ...process.env, ...Object.fromEntries(environment) },
            stdio: 'ignore',
          });
          return new Promise<number | null>((resolve) => child.on('exit', resolve));
        }),
      );
    const weights = (run: string) => readFileSync(join(run, 'checkpoints', 'last', 'model.safetensors'));

    const alone = await prepare();
    expect(await train(alone, await freePort())).toEqual([0, 0]);
    const [attacked, port] = [await prepare(), await freePort()];
    const attacker = await secondUser(attacked, port);
    const codes = await train(attacked, port);
    const seen = await attacker.end();

    expect(seen.connected).toBeGreaterThan(0); // it did reach rank 0
    expect(seen.closed).toBeGreaterThan(0);
    expect(seen.heard).toBeLessThanOrEqual(64); // a nonce and a proof
    if (attacker.isOther) expect(seen.secrets).toBe(0);
    expect(codes).toEqual([0, 0]);
    expect((await command.json('runs', 'show', attacked)).status).toMatchObject({ state: 'done', step: 30 });
    expect(weights(attacked).equals(weights(alone))).toBe(true);
    expect(statSync(join(attacked, 'secret')).mode & 0o077).toBe(0);
  });
});

import { createServer, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { CollectiveFailed } from '../../errors';
import { afterSeconds } from '../../timer';
import { FrameChannel, type FrameHeader } from './frames';
import { admitRank, presentTo } from './handshake';
import { knock } from './ports';
import { Star } from './star';
import type { World } from './world';

interface LocalOptions extends Pick<World, 'rank' | 'worldSize' | 'address' | 'port'> {
  /** What only the ranks of this run know: see `runSecret`. */
  readonly secret: string;
  /** Whether all ranks are on one host, so that rank 0 listens on `address` only; true by default. */
  readonly oneHost?: boolean;
  /** Seconds that ranks wait for one another, at the rendezvous and in each operation. */
  readonly timeout: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The collective for any backend and without native code: a star over TCP. Rank 0 listens on the master's address and
 * sums in rank order. It reads a connection only after a proof that the other end knows the run's secret.
 * @throws CollectiveFailed if the ranks do not find one another; its cause has `code: 'EADDRINUSE'` if the port is taken
 * and the caller should try another
 */
export async function connectLocal(options: LocalOptions): Promise<Star> {
  if (options.worldSize === 1) return new Star(0, 1, options.timeout);
  return options.rank === 0 ? gather(options) : join(options);
}

/** Connections that may wait for admission; more push out the oldest. Our own ranks wait for milliseconds. */
const mostStrangers = 256;

/** Rank 0: listens until every other rank has said hello. */
function gather({ worldSize, secret, timeout, oneHost = true, ...options }: LocalOptions): Promise<Star> {
  return new Promise((resolve, reject) => {
    const star = new Star(0, worldSize, timeout);
    const strangers = new Set<Socket>();
    const server = createServer((socket) => {
      strangers.add(socket);
      if (strangers.size > mostStrangers) drop([...strangers][0]!);
      socket.on('error', () => {}); // ends this connection only
      socket.once('close', () => strangers.delete(socket));
      admitRank(socket, secret).then(
        () => admitted(socket),
        () => drop(socket),
      );
    });
    const drop = (socket: Socket) => {
      strangers.delete(socket);
      socket.destroy();
    };
    const missing = () => [...Array(worldSize).keys()].filter((rank) => rank > 0 && !star.has(rank));
    const finish = (settle: () => void) => {
      endPatience();
      options.signal?.removeEventListener('abort', abort);
      server.close();
      for (const socket of strangers) drop(socket); // an open one keeps this process alive
      settle();
    };
    const fail = (reason: string, cause?: unknown) =>
      finish(() => {
        void star.close(reason);
        reject(new CollectiveFailed(0, 'rendezvous', reason, { cause }));
      });
    const endPatience = afterSeconds(timeout, () =>
      fail(`rank ${missing().join(', ')} did not come within ${timeout} s`),
    );
    const abort = () => fail('stopped');
    const admitted = (socket: Socket) => {
      if (!strangers.has(socket)) return; // dropped in the meantime
      new FrameChannel(socket, {
        take: (header, from) => (strangers.has(socket) ? greet(header, from) : star.take(header, from)),
        lost: (channel, error) => star.lost(channel, error),
      });
    };
    const greet = ({ kind, rank, worldSize: ranks }: FrameHeader, channel: FrameChannel): true => {
      if (kind !== 'hello') drop(channel.socket);
      else if (ranks !== worldSize || !missing().includes(rank))
        fail(`rank ${rank} of ${ranks} came twice or to a group of ${worldSize}`);
      else {
        strangers.delete(channel.socket);
        star.add(rank, channel);
        if (missing().length === 0) finish(() => star.greet().then(() => resolve(star), reject));
      }
      return true;
    };
    server.on('error', (error) => fail(error.message, error));
    if (options.signal?.aborted) return abort();
    options.signal?.addEventListener('abort', abort, { once: true });
    // Debian gives a host's own name the address 127.0.1.1, which other hosts cannot reach.
    server.listen(options.port, oneHost ? options.address : undefined);
  });
}

/** Seconds in which another program may answer instead of rank 0, such as the ranks before a restart. */
const mostImpostors = 30;

/** Any other rank: knocks until rank 0 listens, proves itself and says hello. */
async function join({ rank, worldSize, secret, timeout, ...options }: LocalOptions): Promise<Star> {
  const { address, port, signal } = options;
  const fail = (reason: string) => new CollectiveFailed(rank, 'rendezvous', reason);
  let [late, patient, impostor] = [false, true, ''];
  const endPatience = afterSeconds(timeout, () => {
    late = true;
  });
  const endImpostors = afterSeconds(Math.min(timeout, mostImpostors), () => {
    patient = false;
  });
  try {
    for (;;) {
      if (signal?.aborted) throw fail('stopped');
      const socket = await knock(address, port);
      const stranger = socket && (await presentTo(socket, secret).catch((error: Error) => error.message));
      if (socket && stranger === undefined) return await greet(socket);
      if (stranger !== undefined)
        impostor = `what answers on ${address}:${port} is not rank 0 of this run: ${stranger}`;
      if (impostor && !patient)
        throw fail(`${impostor}. Another run may use this port; choose another MASTER_PORT`);
      if (late) throw fail(`rank 0 does not listen on ${address}:${port}`);
      await pause(30);
    }
  } finally {
    endPatience();
    endImpostors();
  }

  async function greet(socket: Socket): Promise<Star> {
    const star = new Star(rank, worldSize, timeout);
    star.add(0, new FrameChannel(socket, star));
    const abort = () => star.fail('stopped');
    signal?.addEventListener('abort', abort, { once: true });
    await star.greet().finally(() => signal?.removeEventListener('abort', abort));
    return star;
  }
}

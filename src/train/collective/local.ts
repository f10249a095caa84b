import { connect, createServer, type Server, type Socket } from 'node:net';
import { CollectiveFailed } from '../../errors';
import { afterSeconds } from '../../timer';
import type { Collective, World } from './collective';
import { FrameChannel } from './frames';
import { admitRank, presentTo } from './handshake';
import { Alone, Hub, Spoke } from './star';

export interface LocalOptions extends Pick<World, 'rank' | 'worldSize' | 'address' | 'port'> {
  /** What the ranks of this run know and nobody else: see `runSecret`. */
  readonly secret: string;
  /** Whether all ranks are on one host: only then is rank 0 reached by `address` alone. True by default. */
  readonly oneHost?: boolean;
  /** Seconds that ranks wait for one another, in one operation and in finding one another. */
  readonly timeout: number;
  readonly signal?: AbortSignal;
}

/**
 * The collective for any backend and without native code: TCP on the master's address, a star with rank 0 in its
 * middle, which sums in rank order. A connection is heard once it has proved that it knows the run's secret.
 * @throws CollectiveFailed if the ranks do not find one another; its cause has `code: 'EADDRINUSE'` where the port
 * is taken and another one should be tried.
 */
export async function connectLocal(options: LocalOptions): Promise<Collective> {
  if (options.worldSize === 1) return new Alone();
  return options.rank === 0 ? gather(options) : join(options);
}

/** Connections that may wait for admission at once; of more, the oldest go. Our own ranks wait for milliseconds. */
const mostStrangers = 256;

/** Rank 0: listens until every other rank has said hello. */
function gather(options: LocalOptions): Promise<Hub> {
  const { worldSize, secret, timeout, oneHost = true } = options;
  return new Promise((resolve, reject) => {
    const hub = new Hub(worldSize, timeout);
    const strangers = new Set<Socket>();
    const server: Server = createServer((socket) => {
      strangers.add(socket);
      if (strangers.size > mostStrangers) drop([...strangers][0]!);
      socket.on('error', () => {}); // a stranger's fault ends its connection, and nothing else
      socket.once('close', () => strangers.delete(socket));
      admitRank(socket, secret).then(
        () => greet(socket),
        () => drop(socket),
      );
    });
    const drop = (socket: Socket) => {
      strangers.delete(socket);
      socket.destroy();
    };
    const missing = () =>
      Array.from({ length: worldSize - 1 }, (_, i) => i + 1).filter((rank) => !hub.has(rank));
    const finish = (settle: () => void) => {
      endPatience();
      options.signal?.removeEventListener('abort', abort);
      server.close();
      for (const socket of strangers) drop(socket); // an open one would keep this process alive for ever
      settle();
    };
    const fail = (reason: string, cause?: unknown) =>
      finish(() => {
        void hub.close(reason);
        reject(new CollectiveFailed(0, 'rendezvous', reason, { cause }));
      });
    const endPatience = afterSeconds(timeout, () =>
      fail(`rank ${missing().join(', ')} did not come within ${timeout} s`),
    );
    const abort = () => fail('stopped');
    const greet = (socket: Socket) => {
      if (!strangers.has(socket)) return; // dropped while it was admitted
      const channel: FrameChannel = new FrameChannel(socket, {
        onFrame: ({ header }) => {
          if (!strangers.has(socket)) return hub.take(header, channel);
          const { kind, rank } = header;
          if (kind !== 'hello') drop(socket);
          else if (header.worldSize !== worldSize || rank < 1 || rank >= worldSize || hub.has(rank)) {
            fail(`rank ${rank} of ${header.worldSize} came twice or to a group of ${worldSize}`);
          } else {
            strangers.delete(socket);
            hub.add(rank, channel);
            if (missing().length === 0) finish(() => hub.greetAll().then(() => resolve(hub), reject));
          }
          return true;
        },
        onClose: (error) => hub.lost(channel, error),
      });
    };
    server.on('error', (error) => fail(error.message, error));
    if (options.signal?.aborted) abort();
    else {
      options.signal?.addEventListener('abort', abort, { once: true });
      // Debian gives a host's own name the address 127.0.1.1, which other hosts cannot reach.
      server.listen(options.port, oneHost ? options.address : undefined);
    }
  });
}

/** Seconds for which another program may answer in rank 0's place, such as an earlier life that is about to end. */
const mostImpostors = 30;

/** Any other rank: knocks until rank 0 listens, proves itself and says hello. */
async function join(options: LocalOptions): Promise<Spoke> {
  const { rank, worldSize, secret, timeout, address, port } = options;
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
      if (options.signal?.aborted) throw fail('stopped');
      const socket = await knock(options);
      const stranger = socket && (await presentTo(socket, secret).catch((error: Error) => error.message));
      if (socket && stranger === undefined) return await greet(socket);
      if (stranger !== undefined)
        impostor = `what answers on ${address}:${port} is not rank 0 of this run: ${stranger}`;
      if (impostor && !patient)
        throw fail(`${impostor}. Another run may use this port; choose another MASTER_PORT`);
      if (late) throw fail(`rank 0 does not listen on ${address}:${port}`);
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
  } finally {
    endPatience();
    endImpostors();
  }

  async function greet(socket: Socket): Promise<Spoke> {
    const spoke = new Spoke(rank, worldSize, timeout);
    const channel: FrameChannel = new FrameChannel(socket, {
      onFrame: ({ header }) => spoke.take(header),
      onClose: (error) => spoke.lost(error),
    });
    const abort = () => spoke.fail('rendezvous', 'stopped');
    options.signal?.addEventListener('abort', abort, { once: true });
    try {
      await spoke.greet(channel);
    } finally {
      options.signal?.removeEventListener('abort', abort);
    }
    return spoke;
  }
}

function knock({ address, port }: LocalOptions): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, address);
    socket.once('connect', () => {
      socket.removeAllListeners('error');
      resolve(socket);
    });
    socket.once('error', () => {
      socket.destroy();
      resolve(undefined);
    });
  });
}

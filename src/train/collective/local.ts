import { connect, createServer, type Server, type Socket } from 'node:net';
import { CollectiveFailed } from '../../errors';
import type { Collective, World } from './collective';
import { FrameChannel } from './frames';
import { Alone, Hub, Spoke } from './star';

export interface LocalOptions extends Pick<World, 'rank' | 'worldSize' | 'address' | 'port'> {
  /** What tells the ranks of this run from a stranger on the same port. */
  readonly session: string;
  /** Seconds that ranks wait for one another, in one operation and in finding one another. */
  readonly timeout: number;
  readonly signal?: AbortSignal;
}

/**
 * The collective of one host, for any backend and without native code: TCP on the master's address, a star with
 * rank 0 in its middle, which sums in rank order.
 * @throws CollectiveFailed if the ranks do not find one another; its cause has `code: 'EADDRINUSE'` where the port
 * is taken and another one should be tried.
 */
export async function connectLocal(options: LocalOptions): Promise<Collective> {
  if (options.worldSize === 1) return new Alone();
  return options.rank === 0 ? gather(options) : join(options);
}

/** Rank 0: listens until every other rank has said hello. */
function gather(options: LocalOptions): Promise<Hub> {
  const { worldSize, session, timeout } = options;
  return new Promise((resolve, reject) => {
    const hub = new Hub(worldSize, timeout * 1000);
    const server: Server = createServer((socket) => greet(socket));
    const missing = () =>
      Array.from({ length: worldSize - 1 }, (_, i) => i + 1).filter((rank) => !hub.has(rank));
    const finish = (settle: () => void) => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', abort);
      server.close();
      settle();
    };
    const fail = (reason: string, cause?: unknown) =>
      finish(() => {
        void hub.close(reason);
        reject(new CollectiveFailed(0, 'rendezvous', reason, { cause }));
      });
    const timer = setTimeout(
      () => fail(`rank ${missing().join(', ')} did not come within ${timeout} s`),
      timeout * 1000,
    );
    const abort = () => fail('stopped');
    const greet = (socket: Socket) => {
      const channel: FrameChannel = new FrameChannel(socket, {
        onFrame: ({ header }) => {
          if (header.kind !== 'hello') return hub.take(header, channel);
          if (header.session !== session) {
            void channel
              .send({ kind: 'abort', rank: 0, reason: 'this port is of another run' })
              .catch(() => {});
            socket.end();
          } else if (header.worldSize !== worldSize || hub.has(header.rank)) {
            fail(`rank ${header.rank} of ${header.worldSize} came twice or to a group of ${worldSize}`);
          } else {
            hub.add(header.rank, channel);
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
      server.listen(options.port, options.address);
    }
  });
}

/** Any other rank: knocks until rank 0 listens and says hello. */
async function join(options: LocalOptions): Promise<Spoke> {
  const { rank, worldSize, session, timeout } = options;
  const deadline = Date.now() + timeout * 1000;
  for (;;) {
    if (options.signal?.aborted) throw new CollectiveFailed(rank, 'rendezvous', 'stopped');
    const socket = await knock(options);
    if (socket) {
      const spoke = new Spoke(rank, worldSize, timeout * 1000);
      const channel: FrameChannel = new FrameChannel(socket, {
        onFrame: ({ header }) => spoke.take(header),
        onClose: (error) => spoke.lost(error),
      });
      const abort = () => spoke.fail('rendezvous', 'stopped');
      options.signal?.addEventListener('abort', abort, { once: true });
      try {
        await spoke.greet(channel, session, deadline - Date.now());
      } finally {
        options.signal?.removeEventListener('abort', abort);
      }
      return spoke;
    }
    if (Date.now() > deadline)
      throw new CollectiveFailed(
        rank,
        'rendezvous',
        `rank 0 does not listen on ${options.address}:${options.port}`,
      );
    await new Promise((resolve) => setTimeout(resolve, 30));
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

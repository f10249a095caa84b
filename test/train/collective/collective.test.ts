import { createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { CollectiveFailed } from '../../../src/errors';
import { Random } from '../../../src/random';
import type { Collective } from '../../../src/train/collective/collective';
import { connectLocal } from '../../../src/train/collective/local';

const open: Collective[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((collective) => collective.close()));
});

async function group(worldSize: number, timeout = 5): Promise<Collective[]> {
  const port = await freePort();
  const ranks = await Promise.all(
    Array.from({ length: worldSize }, (_, rank) =>
      connectLocal({ rank, worldSize, address: '127.0.0.1', port, secret: 'test', timeout }),
    ),
  );
  open.push(...ranks);
  return ranks;
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

const numbers = (length: number, seed: number) => {
  const random = new Random(seed, 'numbers');
  return Float32Array.from({ length }, () => random.normal());
};

async function failures(promises: readonly Promise<unknown>[]): Promise<CollectiveFailed[]> {
  const settled = await Promise.allSettled(promises);
  return settled.map((result) => (result as PromiseRejectedResult).reason as CollectiveFailed);
}

describe('local collective', () => {
  it('sums in rank order in float32, to the same bits on every rank', async () => {
    const ranks = await group(4);
    const given = ranks.map((_, rank) => [numbers(70_001, rank), numbers(3, 10 + rank)]);
    const expected = given[0]!.map((array, part) => {
      const sum = array.slice();
      for (const other of given.slice(1)) for (let i = 0; i < sum.length; i++) sum[i]! += other[part]![i]!;
      return sum;
    });
    const arrays = given.map((parts) => parts.map((part) => part.slice()));
    await Promise.all(ranks.map((rank, r) => rank.allReduce(arrays[r]!, 'gradients')));
    for (const result of arrays)
      for (const [part, sum] of expected.entries())
        expect(Buffer.compare(Buffer.from(sum.buffer), Buffer.from(result[part]!.buffer))).toBe(0);
  });

  it('lets a rank change its arrays as soon as the call returns', async () => {
    const ranks = await group(3);
    const arrays = ranks.map((_, r) => Float32Array.from({ length: 400_000 }, () => r + 1));
    await Promise.all(
      ranks.map(async (rank, r) => {
        await rank.allReduce([arrays[r]!], 'first');
        if (r === 0) arrays[0]!.fill(-1);
      }),
    );
    expect(arrays[1]!.every((x) => x === 6) && arrays[2]!.every((x) => x === 6)).toBe(true);
  });

  it('broadcasts from any rank and gathers arrays of different lengths', async () => {
    const ranks = await group(3);
    for (const root of [0, 2]) {
      const arrays = ranks.map((_, r) => Float32Array.of(r, r * 10));
      await Promise.all(ranks.map((rank, r) => rank.broadcast([arrays[r]!], root)));
      expect(arrays).toEqual(ranks.map(() => Float32Array.of(root, root * 10)));
    }
    const gathered = await Promise.all(ranks.map((rank, r) => rank.allGather(new Float32Array(r).fill(r))));
    for (const all of gathered) expect(all).toEqual([0, 1, 2].map((r) => new Float32Array(r).fill(r)));
  });

  it('holds every rank at a barrier until the last has come', async () => {
    const ranks = await group(3);
    let last = false;
    const wait = ranks.slice(0, 2).map((rank) => rank.barrier().then(() => last));
    await new Promise((resolve) => setTimeout(resolve, 100));
    last = true;
    await ranks[2]!.barrier();
    expect(await Promise.all(wait)).toEqual([true, true]);
  });

  it.each([0, 1, 3])('fails on every rank within a second when rank %i dies', async (dead) => {
    const ranks = await group(4, 60);
    const start = Date.now();
    const alive = ranks.filter((_, r) => r !== dead);
    const work = failures(alive.map((rank) => rank.allReduce([numbers(10, 1)], 'gradients')));
    kill(ranks[dead]!);
    for (const error of await work) {
      expect(error).toBeInstanceOf(CollectiveFailed);
      expect(error.message).toContain(`rank ${dead} died`);
    }
    expect(Date.now() - start).toBeLessThan(1000);
    for (const rank of alive) await expect(rank.barrier()).rejects.toThrow(`rank ${dead} died`);
  });

  it('names the rank that is late, on every rank', async () => {
    const ranks = await group(3, 0.3);
    const late = ranks[1]!;
    const errors = await failures(ranks.filter((rank) => rank !== late).map((rank) => rank.barrier('epoch')));
    expect(errors[0]!.message).toContain('rank 1 did not come within 0.3 s');
    for (const error of errors) expect(error).toBeInstanceOf(CollectiveFailed);
    await expect(late.barrier('epoch')).rejects.toBeInstanceOf(CollectiveFailed);
  });

  it('detects ranks that are at different operations or bring different lengths', async () => {
    const ranks = await group(2);
    const errors = await failures([
      ranks[0]!.barrier('epoch'),
      ranks[1]!.allReduce([numbers(4, 1)], 'gradients'),
    ]);
    for (const error of errors)
      expect(error.message).toContain(
        'rank 1 is at allReduce gradients (operation 0), rank 0 at barrier epoch',
      );
    const others = await group(2);
    const lengths = await failures(others.map((rank, r) => rank.allReduce([numbers(4 + r, 1)], 'gradients')));
    for (const error of lengths)
      expect(error.message).toContain('with lengths 5, rank 0 at allReduce gradients');
  });

  it('carries the reason of a rank that gave up to all others', async () => {
    const ranks = await group(3);
    const work = failures([0, 2].map((r) => ranks[r]!.barrier()));
    await ranks[1]!.close('volume 7 cannot be read');
    for (const error of await work) expect(error.message).toContain('volume 7 cannot be read');
  });

  it('a rank that closed in good order is an error only for ranks that still need it', async () => {
    const ranks = await group(3);
    await Promise.all(ranks.map((rank) => rank.barrier()));
    await ranks[2]!.close();
    await new Promise((resolve) => setTimeout(resolve, 50));
    for (const error of await failures([0, 1].map((r) => ranks[r]!.barrier())))
      expect(error.message).toContain('rank 2 has left');
  });

  it('a disagreement is told as such even when a rank has left meanwhile', async () => {
    const ranks = await group(3);
    const early = ranks[2]!.barrier('one');
    const work = failures([early, ranks[0]!.barrier('one')]);
    await ranks[2]!.close();
    await new Promise((resolve) => setTimeout(resolve, 50));
    const [error] = await failures([ranks[1]!.barrier('two')]);
    expect(error!.message).toContain('rank 1 is at barrier two (operation 0), rank 0 at barrier one');
    expect((await work)[1]!.message).toContain(
      'rank 1 is at barrier two (operation 0), rank 0 at barrier one',
    );
  });

  it.each([
    ['between two operations', (socket: Socket) => socket.resetAndDestroy(), 'rank 1 died'],
    ['with bytes of something else', (socket: Socket) => socket.write('GET / HTTP/1.1'), 'not a frame'],
  ])('names a rank that goes %s', async (_, go, expected) => {
    const ranks = await group(2);
    for (const { socket } of channelsOf(ranks[1]!)) go(socket);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const [error] = await failures([ranks[0]!.barrier()]);
    expect(error!.message).toContain('rank 0: waiting failed: rank 1 died');
    expect(error!.message).toContain(expected);
  });

  it('lets every rank leave right after its last operation', async () => {
    for (let round = 0; round < 20; round++) {
      const ranks = await group(4);
      open.length = 0;
      const work = ranks.map(async (rank) => {
        await rank.allReduce([new Float32Array(50_000)], 'last');
        await rank.close();
      });
      await expect(Promise.all(work)).resolves.toBeDefined();
    }
  });

  it('says who did not come to the rendezvous, and that the port is taken', async () => {
    const port = await freePort();
    const options = { worldSize: 3, address: '127.0.0.1', port, secret: 'test', timeout: 0.4 };
    const errors = await failures([0, 2].map((rank) => connectLocal({ ...options, rank })));
    expect(errors[0]!.message).toContain('rank 1 did not come');
    expect(errors[1]).toBeInstanceOf(CollectiveFailed);

    const server = createServer();
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    const taken = await connectLocal({ ...options, rank: 0 }).catch(
      (error: Error) => error as CollectiveFailed,
    );
    expect((taken as CollectiveFailed).cause).toMatchObject({ code: 'EADDRINUSE' });
    server.close();
  });

  it('turns a rank of another run away and still finds its own', async () => {
    const port = await freePort();
    const options = { worldSize: 2, address: '127.0.0.1', port };
    const hub = connectLocal({ ...options, rank: 0, secret: 'ours', timeout: 20 });
    const theirs = connectLocal({ ...options, rank: 1, secret: 'theirs', timeout: 0.5 });
    await expect(theirs).rejects.toThrow(
      `what answers on 127.0.0.1:${port} is not rank 0 of this run: it does not know the secret of this run`,
    );
    open.push(await connectLocal({ ...options, rank: 1, secret: 'ours', timeout: 20 }), await hub);
  });

  it('listens to other hosts where the ranks are on several, whatever address the own name has here', async () => {
    const port = await freePort();
    const options = { worldSize: 2, port, secret: 'test', timeout: 20, oneHost: false };
    const hub = connectLocal({ ...options, rank: 0, address: '127.0.1.1' });
    open.push(await connectLocal({ ...options, rank: 1, address: '127.0.0.1' }), await hub);
    await Promise.all(open.slice(-2).map((rank) => rank.barrier()));
  });
});

/** What the operating system does to a killed process: its sockets are reset. */
function kill(collective: Collective): void {
  for (const { socket } of channelsOf(collective)) socket.resetAndDestroy();
}

function channelsOf(collective: Collective): Iterable<{ socket: Socket }> {
  return (collective as unknown as { peers: Map<number, { socket: Socket }> }).peers.values();
}

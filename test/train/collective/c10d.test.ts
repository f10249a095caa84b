import { fork } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { backendNames, useBackend } from '../../../src/compute/use-backend';
import { builtC10d } from '../../../src/train/collective/c10d/addon';
import { connectC10d } from '../../../src/train/collective/c10d/c10d';
import type { Collective } from '../../../src/train/collective/collective';

const reason = builtC10d() ? undefined : 'c10d is not built (npx patchwise backend build libtorch)';
if (reason) console.error(`skipped: ${reason}`);

const open: Collective[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((collective) => collective.close()));
});

async function group(worldSize: number, timeout = 20): Promise<Collective[]> {
  const options = { worldSize, ...place(await freePort()), timeout };
  const ranks = await Promise.all(
    Array.from({ length: worldSize }, (_, rank) => connectC10d({ ...options, rank })),
  );
  open.push(...ranks);
  return ranks;
}

const place = (port: number) => ({ address: '127.0.0.1', port, storeIsServed: false, session: 'test' });

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

async function failures(promises: readonly Promise<unknown>[]): Promise<string[]> {
  const settled = await Promise.allSettled(promises);
  return settled.map((result) =>
    result.status === 'rejected' ? (result.reason as Error).message : 'no error',
  );
}

describe.skipIf(reason)('c10d collective', { timeout: 60_000 }, () => {
  it('sums, broadcasts from any rank, gathers arrays of different lengths; the same bits on every rank', async () => {
    const ranks = await group(3);
    const arrays = ranks.map((_, r) => [
      Float32Array.from({ length: 70_001 }, (_, i) => Math.sin(i * (r + 1)) / 3),
      Float32Array.of(r, 1),
    ]);
    const wanted = Float32Array.from(
      arrays[0]![0]!,
      (value, i) => value + arrays[1]![0]![i]! + arrays[2]![0]![i]!,
    );
    await Promise.all(ranks.map((rank, r) => rank.allReduce(arrays[r]!, 'gradients')));
    expect([...arrays[1]![1]!]).toEqual([3, 3]);
    for (const [i, value] of arrays[0]![0]!.entries())
      expect(Math.abs(value - wanted[i]!)).toBeLessThan(1e-6);
    for (const other of arrays.slice(1))
      expect(Buffer.from(other[0]!.buffer).equals(Buffer.from(arrays[0]![0]!.buffer))).toBe(true);

    const given = ranks.map((_, r) => [Float32Array.of(r, r * 10)]);
    await Promise.all(ranks.map((rank, r) => rank.broadcast(given[r]!, 2)));
    expect(given).toEqual(ranks.map(() => [Float32Array.of(2, 20)]));
    const all = await Promise.all(ranks.map((rank, r) => rank.allGather(new Float32Array(r).fill(r))));
    for (const gathered of all) expect(gathered).toEqual([0, 1, 2].map((r) => new Float32Array(r).fill(r)));
  });

  it.skipIf(!backendNames.includes('libtorch'))(
    'sums tensors of libtorch where they are, as it sums arrays; mixes neither up',
    async () => {
      await useBackend('libtorch');
      const ranks = await group(3);
      const arrays = ranks.map((_, r) =>
        Float32Array.from({ length: 70_001 }, (_, i) => Math.sin(i * (r + 1)) / 3),
      );
      const tensors = arrays.map((array) => tf.tensor1d(array.slice()));
      const reads = vi.spyOn(tf.backend(), 'readSync');
      await Promise.all([
        ...ranks.map((rank, r) => rank.reduceInPlace!(tensors[r]!, 'bucket')),
        ...ranks.map((rank, r) => rank.allReduce([arrays[r]!], 'arrays')),
      ]);
      expect(reads).not.toHaveBeenCalled();
      reads.mockRestore();
      for (const tensor of tensors) expect(tensor.dataSync()).toEqual(arrays[0]!);
      const errors = await failures([
        ranks[0]!.reduceInPlace!(tensors[0]!, 'bucket'),
        ranks[1]!.reduceInPlace!(tensors[1]!, 'another'),
        ranks[2]!.reduceInPlace!(tensors[2]!, 'bucket'),
      ]);
      for (const error of errors)
        expect(error).toMatch(/reduce another of 70001 numbers.*reduce bucket|reduce bucket.*reduce another/);
      await useBackend('cpu');
      expect(ranks[0]!.reduceInPlace).toBeUndefined();
    },
  );

  it('several operations may be under way at once, in the order of the calls', async () => {
    const ranks = await group(2);
    const arrays = ranks.map((_, r) =>
      Array.from({ length: 8 }, (_, i) => new Float32Array(5000).fill(i + r)),
    );
    await Promise.all(
      ranks.flatMap((rank, r) => arrays[r]!.map((array, i) => rank.allReduce([array], `bucket ${i}`))),
    );
    for (const mine of arrays) expect(mine.map((array) => array[4999])).toEqual([1, 3, 5, 7, 9, 11, 13, 15]);
  });

  it('detects on every rank that ranks are at different operations', async () => {
    const ranks = await group(2);
    const errors = await failures([
      ranks[0]!.barrier('epoch'),
      ranks[1]!.allReduce([new Float32Array(4)], 'gradients'),
    ]);
    for (const error of errors)
      expect(error).toMatch(
        /allReduce barrier epoch of 1 numbers.*allReduce gradients of 4|allReduce gradients of 4.*barrier epoch/,
      );
  });

  it('carries the reason of a rank that gave up to all others, and names one that is late', async () => {
    const ranks = await group(3);
    const work = failures([0, 2].map((r) => ranks[r]!.barrier()));
    await ranks[1]!.close('volume 7 cannot be read');
    for (const error of await work) expect(error).toContain('rank 1: volume 7 cannot be read');
    const others = await group(3, 1);
    for (const error of await failures([0, 2].map((r) => others[r]!.barrier())))
      expect(error).toContain('rank 1 did not come within 1 s');
  });

  it('says who did not come to the rendezvous, and that the port is taken', async () => {
    const options = { worldSize: 3, ...place(await freePort()), timeout: 1 };
    for (const error of await failures([0, 2].map((rank) => connectC10d({ ...options, rank }))))
      expect(error).toContain('rank 1 did not come within 1 s');
    const server = createServer();
    const port = await freePort();
    await new Promise<void>((resolve) => server.listen(port, resolve));
    const error = await connectC10d({ ...options, port, rank: 0 }).catch((problem: Error) => problem);
    expect((error as Error).cause).toMatchObject({ code: 'EADDRINUSE' });
    server.close();
  });

  /** Three ranks, each in a process of its own, that sum without end. `heard`: what each of them says. */
  async function threeProcesses(options: object = {}) {
    const port = await freePort();
    const ranks = [0, 1, 2].map((rank) => {
      const world = { rank, worldSize: 3, ...place(port), timeout: 60, ...options, closes: false };
      if (rank === 1 && 'closes' in options) world.closes = true;
      const child = fork(join(__dirname, 'c10d-rank.cjs'), {
        env: { ...process.env, WORLD: JSON.stringify(world) },
        stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      });
      const heard: string[] = [];
      child.on('message', (message) => heard.push(String(message)));
      return { child, heard };
    });
    await vi.waitFor(() => expect(ranks.every(({ heard }) => heard.length > 0)).toBe(true), 30_000);
    return ranks;
  }

  type Ranks = Awaited<ReturnType<typeof threeProcesses>>;

  /** Waits until each of the ranks has said why it failed and has ended by itself, without a signal. */
  async function endOf(ranks: Ranks, milliseconds: number): Promise<string[]> {
    const over = () => {
      for (const { heard, child } of ranks) {
        expect(heard).toHaveLength(2);
        expect([child.exitCode, child.signalCode]).toEqual([0, null]);
      }
    };
    await vi.waitFor(over, { timeout: milliseconds, interval: 20 });
    return ranks.map(({ heard }) => heard[1]!);
  }

  const kill = (ranks: Ranks) => {
    for (const { child } of ranks) child.kill('SIGKILL');
  };

  it.each([0, 1])('is an error on every other rank within seconds when rank %i is killed', async (dead) => {
    const ranks = await threeProcesses();
    try {
      ranks[dead]!.child.kill('SIGKILL');
      const alive = ranks.filter((_, rank) => rank !== dead);
      for (const error of await endOf(alive, 10_000)) expect(error).toContain(`rank ${dead} died`);
    } finally {
      kill(ranks);
    }
  });

  it.each([0, 1])('is an error on every other rank after the timeout when rank %i hangs', async (late) => {
    const ranks = await threeProcesses({ timeout: 3 });
    try {
      ranks[late]!.child.kill('SIGSTOP');
      const others = ranks.filter((_, rank) => rank !== late);
      for (const error of await endOf(others, 20_000))
        expect(error).toMatch(/rank [01].*(did not come within 3 s|does not answer)/);
    } finally {
      kill(ranks);
    }
  });

  it('lets a rank leave while sums are under way, and the others end with its reason', async () => {
    const ranks = await threeProcesses({ closes: true });
    try {
      const others = [ranks[0]!, ranks[2]!];
      for (const error of await endOf(others, 10_000)) expect(error).toContain('rank 1: the disk is full');
      await vi.waitFor(() => expect(ranks[1]!.child.exitCode).toBe(0), 10_000);
    } finally {
      kill(ranks);
    }
  });

  it('hears of a rank that dies between operations', async () => {
    const ranks = await group(3);
    await Promise.all(ranks.map((rank) => rank.barrier()));
    await ranks[2]!.close('no memory');
    const start = performance.now();
    for (const error of await failures([0, 1].map((r) => ranks[r]!.barrier())))
      expect(error).toContain('rank 2: no memory');
    expect(performance.now() - start).toBeLessThan(5000);
  });
});

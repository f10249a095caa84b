import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { HeldVolumes } from '../../../kernels/live/held-volumes';
import { openVolumes } from '../../../kernels/live/volumes';
import { CommRegistry } from '../../../kernels/protocol/comms';
import type { Json, Message } from '../../../kernels/protocol/wire';
import type { HeldVolume, Level } from '../../../src/volumes-bundle';
import { readValues, worldOf } from '../../plot/volume/read-level';

type Shape = readonly [number, number, number];
type Sent = {
  comm: string;
  data: Json & { type: string; level: Level; volume: number };
  buffers: readonly Uint8Array[];
};

const AFFINE = [-0.7, 0.1, 0, 90, 0.1, 0.7, 0, -120, 0, 0, 2.5, 33, 0, 0, 0, 1];

/** A volume of whole numbers, different at every voxel of a slice. */
function held(shape: Shape, seed = 0): HeldVolume & { voxels: { data: Float32Array } } {
  const data = Float32Array.from(
    { length: shape[0] * shape[1] * shape[2] },
    (_, n) => ((n * 7 + seed) % 4001) - 1000,
  );
  return {
    shape,
    spacing: [0.7, 0.7, 2.5],
    affine: AFFINE,
    slope: 1,
    intercept: 0,
    previewed: 1,
    voxels: { data },
  };
}

/** A kernel's comms, and pages that open them. */
function makeKernel(most?: number) {
  const volumes = new HeldVolumes(most);
  const sent: Sent[] = [];
  const closed: string[] = [];
  const comms = new CommRegistry((type, content, buffers) => {
    if (type === 'comm_msg')
      sent.push({ comm: String(content.comm_id), data: content.data as Sent['data'], buffers });
    if (type === 'comm_close') closed.push(String(content.comm_id));
  });
  comms.register('patchwise.volumes', (comm, { data }) => void openVolumes(comm, data, volumes));
  const message = (content: Json) => ({ content, metadata: {}, buffers: [] }) as unknown as Message;
  const page = (comm_id: string) => ({
    open: (data: Json) => comms.handleOpen(message({ comm_id, target_name: 'patchwise.volumes', data })),
    say: (data: Json) => comms.handleMessage(message({ comm_id, data })),
    leave: () => comms.handleClose(message({ comm_id, data: {} })),
    heard: (type?: string) =>
      sent.filter(({ comm, data }) => comm === comm_id && (!type || data.type === type)),
  });
  return { volumes, sent, closed, page };
}
type Page = ReturnType<ReturnType<typeof makeKernel>['page']>;

async function until(get: () => boolean, patience = 15_000): Promise<void> {
  for (const deadline = Date.now() + patience; Date.now() < deadline; await sleep(5)) if (get()) return;
  throw new Error(`not within ${patience} ms: ${get}`);
}

/** Answers every chunk until a message of this type has come. */
async function takeAll(page: Page, last = 'complete', taken = 0): Promise<void> {
  await until(() => {
    for (; taken < page.heard('chunk').length; taken++) page.say({ type: 'got' });
    return page.heard(last).length > 0;
  });
}

/** The levels that a page got, by volume, with their values. */
function levelsOf(page: Page) {
  const levels: { volume: number; level: Level; chunks: Uint8Array[]; count: number; region: boolean }[] = [];
  for (const { data, buffers } of page.heard()) {
    if (data.type === 'level')
      levels.push({ ...data, chunks: [], count: Number(data.chunks), region: data.region === true });
    else if (data.type === 'chunk') {
      const of = levels.findLast(({ volume }) => volume === data.volume)!;
      expect(data.index).toBe(of.chunks.length);
      of.chunks.push(buffers[0]!);
    }
  }
  return levels;
}

/** Where two lists of numbers differ first; -1 if nowhere. Faster than `toEqual` for millions. */
function firstDifference(a: readonly number[], b: Float32Array): number {
  return a.length === b.length ? a.findIndex((value, n) => value !== b[n]) : Math.min(a.length, b.length);
}

describe('the volumes of a view', () => {
  it('come from coarse to the best that fits, exact at full resolution', async () => {
    const { volumes, page } = makeKernel();
    const volume = held([250, 210, 200]);
    const a = page('a');
    a.open({ id: volumes.hold([volume]), most: 1e9 });
    await takeAll(a);
    const levels = levelsOf(a);
    expect(levels.length).toBe(2);
    for (const { level, chunks, count } of levels) {
      expect(chunks).toHaveLength(count);
      expect(readValues(level, chunks)).toHaveLength(level.shape[0] * level.shape[1] * level.shape[2]);
    }
    const [first, last] = levels as [(typeof levels)[0], (typeof levels)[0]];
    expect(last.level).toEqual({ shape: volume.shape, affine: AFFINE, slope: 1, intercept: 0 });
    expect(firstDifference(readValues(last.level, last.chunks), volume.voxels.data)).toBe(-1);
    // The first box of the coarse level: its mean, at its middle.
    const [fx, fy, fz] = [0, 1, 2].map((axis) =>
      Math.ceil(volume.shape[axis]! / first.level.shape[axis]!),
    ) as [number, number, number];
    expect(fx * fy * fz).toBeGreaterThan(1);
    expect(worldOf(first.level.affine, [0, 0, 0])).toEqual(
      worldOf(AFFINE, [(fx - 1) / 2, (fy - 1) / 2, (fz - 1) / 2]),
    );
    let sum = 0;
    for (let z = 0; z < fz; z++)
      for (let y = 0; y < fy; y++)
        for (let x = 0; x < fx; x++) sum += volume.voxels.data[(z * 210 + y) * 250 + x]!;
    expect(readValues(first.level, first.chunks)[0]).toBeCloseTo(sum / (fx * fy * fz), -0.5);
  });

  it('leave out a level that shows little more than the preview', async () => {
    const { volumes, page } = makeKernel();
    const a = page('a');
    a.open({ id: volumes.hold([{ ...held([250, 210, 200]), previewed: 2_000_000 }]), most: 1e9 });
    await takeAll(a);
    expect(levelsOf(a).map(({ level }) => level.shape)).toEqual([[250, 210, 200]]);
  });

  it('stop at what the browser can draw', async () => {
    const { volumes, page } = makeKernel();
    const a = page('a');
    a.open({ id: volumes.hold([held([120, 100, 90])]), most: 200_000, longest: 64 });
    await takeAll(a);
    const { shape } = levelsOf(a).at(-1)!.level;
    expect(shape[0] * shape[1] * shape[2]).toBeLessThanOrEqual(200_000);
    expect(Math.max(...shape)).toBeLessThanOrEqual(64);
  });

  it('of a comparison come side by side: the coarse levels of all before a finer one of any', async () => {
    const { volumes, page } = makeKernel();
    const shape: Shape = [250, 210, 200];
    const a = page('a');
    a.open({ id: volumes.hold([held(shape), held(shape, 3), held(shape, 5)]), most: 1e9 });
    await takeAll(a);
    const levels = levelsOf(a);
    expect(levels.map(({ volume }) => volume)).toEqual([0, 1, 2, 0, 1, 2]);
    expect(new Set(levels.map(({ level }) => String(level.shape))).size).toBe(2);
  });

  it('on the disk are read part by part, each layer once for a level', async () => {
    const { volumes, page } = makeKernel();
    const shape: Shape = [400, 380, 75];
    const inMemory = held(shape);
    const read: [first: number, depth: number][] = [];
    const readPatch = async (start: Shape, size: Shape) => {
      expect([start[0], start[1], size[0], size[1]]).toEqual([0, 0, 400, 380]);
      read.push([start[2], size[2]]);
      return inMemory.voxels.data.slice(start[2] * 400 * 380, (start[2] + size[2]) * 400 * 380);
    };
    const a = page('a');
    a.open({ id: volumes.hold([{ ...inMemory, previewed: 1e6, voxels: { readPatch } }]), most: 1e9 });
    await takeAll(a);
    const last = levelsOf(a).at(-1)!;
    expect(last.count).toBeGreaterThan(3);
    expect(firstDifference(readValues(last.level, last.chunks), inMemory.voxels.data)).toBe(-1);
    expect(read).toEqual([
      [0, 32],
      [32, 32],
      [64, 11],
    ]);
  });

  it('that cannot be read any more are an error, and the kernel lives on', async () => {
    const { volumes, page } = makeKernel();
    const readPatch = () => Promise.reject(new Error('the dataset is gone'));
    const a = page('a');
    a.open({ id: volumes.hold([{ ...held([40, 40, 40]), voxels: { readPatch } }]), most: 1e9 });
    await until(() => a.heard('error').length > 0);
    expect(a.heard('error')[0]!.data.message).toBe('the dataset is gone');
  });
});

describe('a page', () => {
  let kernel: ReturnType<typeof makeKernel>;
  let id: string;
  const volume = held([256, 256, 200]);
  beforeEach(() => {
    kernel = makeKernel();
    id = kernel.volumes.hold([volume]);
  });
  afterEach(() => void vi.useRealTimers());

  it('that answers slowly has three chunks to take at most', async () => {
    const a = kernel.page('a');
    a.open({ id, most: 1e9 });
    await until(() => a.heard('chunk').length === 3);
    await sleep(300);
    expect(a.heard('chunk')).toHaveLength(3);
    a.say({ type: 'got' });
    await until(() => a.heard('chunk').length === 4);
    await sleep(200);
    expect(a.heard('chunk')).toHaveLength(4);
    for (let n = 0; n < 9; n++) a.say({ type: 'got' }); // more answers than chunks give no further credit
    await until(() => a.heard('chunk').length >= 7);
    await sleep(200);
    expect(a.heard('chunk')).toHaveLength(7);
  });

  it('that leaves gets no more, and another goes on', async () => {
    const [a, b] = [kernel.page('a'), kernel.page('b')];
    a.open({ id, most: 1e9 });
    b.open({ id, most: 1e9 });
    await until(() => a.heard('chunk').length === 3 && b.heard('chunk').length === 3);
    a.leave();
    const before = a.heard().length;
    await takeAll(b);
    expect(a.heard()).toHaveLength(before);
    const last = levelsOf(b).at(-1)!;
    expect(firstDifference(readValues(last.level, last.chunks), volume.voxels.data)).toBe(-1);
  });

  it('that says nothing any more is let go', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const a = kernel.page('a');
    a.open({ id, most: 1e9 });
    await vi.waitFor(() => expect(a.heard('chunk').length).toBe(3));
    vi.advanceTimersByTime(140_000);
    a.say({ type: 'alive' });
    vi.advanceTimersByTime(140_000);
    expect(kernel.closed).toEqual([]);
    vi.advanceTimersByTime(20_000);
    expect(kernel.closed).toEqual(['a']);
  });

  it('gets the region it asks for at full resolution, moved into the volume', async () => {
    const a = kernel.page('a');
    a.open({ id, most: 500_000 });
    await takeAll(a);
    const taken = a.heard('chunk').length;
    a.say({ type: 'region', at: [250, 5, 100], size: [64, 50, 40] });
    await until(() => levelsOf(a).some(({ region, chunks, count }) => region && chunks.length === count));
    expect(a.heard('chunk').length).toBeGreaterThan(taken);
    const { level, chunks } = levelsOf(a).at(-1)!;
    expect(level.shape).toEqual([64, 50, 40]);
    const start = [192, 0, 81];
    expect(worldOf(level.affine, [0, 0, 0])).toEqual(worldOf(AFFINE, start));
    const values = readValues(level, chunks);
    const at = (x: number, y: number, z: number) =>
      volume.voxels.data[((start[2]! + z) * 256 + y) * 256 + start[0]! + x];
    for (const [x, y, z] of [
      [0, 0, 0],
      [63, 49, 39],
      [7, 21, 30],
    ] as Shape[])
      expect(values[(z * 50 + y) * 64 + x]).toBe(at(x, y, z));
  });

  it('that asks for another region gets the newest, and nothing piles up', async () => {
    const a = kernel.page('a');
    a.open({ id, most: 3_000_000 });
    await takeAll(a);
    const levels = levelsOf(a).length;
    for (let z = 10; z < 190; z += 6) a.say({ type: 'region', at: [128, 128, z], size: [250, 250, 40] });
    const last = worldOf(AFFINE, [4, 4, 160]); // the last one, moved into the volume
    let taken = a.heard('chunk').length;
    await until(() => {
      for (; taken < a.heard('chunk').length; taken++) a.say({ type: 'got' });
      const { level, chunks, count } = levelsOf(a).at(-1)!;
      return chunks.length === count && String(worldOf(level.affine, [0, 0, 0])) === String(last);
    });
    const regions = levelsOf(a).slice(levels);
    expect(regions.length).toBeLessThanOrEqual(3);
  });

  it('that asks for nonsense is not heard', async () => {
    const a = kernel.page('a');
    a.open({ id, most: 500_000 });
    await takeAll(a);
    const before = a.heard().length;
    for (const given of [
      {},
      { at: 3, size: 4 },
      { at: [1, 2], size: [1, 1, 1] },
      { at: ['a', 1, 1], size: [1, 1, 1] },
    ])
      a.say({ type: 'region', ...given });
    await sleep(100);
    expect(a.heard()).toHaveLength(before);
    const b = kernel.page('b');
    b.open({ id, most: 'many' });
    await until(() => b.heard('error').length > 0);
  });

  it('of a kernel that was restarted hears that the volume is gone', async () => {
    const a = makeKernel().page('a');
    a.open({ id, most: 1e9 });
    await until(() => a.heard('gone').length > 0);
    expect(a.heard('gone')[0]!.data.message).toContain('Run the cell again');
    expect(a.heard()).toHaveLength(1);
  });

  it('hears that the volume is gone when its cell has run again', async () => {
    const [a, b] = [kernel.page('a'), kernel.page('b')];
    const [first, other] = ['cell-1', 'cell-2'].map((cell) => kernel.volumes.hold([volume], cell));
    kernel.volumes.forget('cell-1');
    kernel.volumes.forget(undefined);
    a.open({ id: first!, most: 1e9 });
    b.open({ id: other!, most: 1e9 });
    await until(() => a.heard('gone').length > 0 && b.heard('level').length > 0);
  });
});

describe('held volumes', () => {
  const small = () => held([10, 10, 10]); // 4000 bytes

  it('keep the voxels of the latest views in memory, up to a limit', () => {
    const kept = new HeldVolumes(10_000);
    let views: (HeldVolume | undefined)[] = Array.from({ length: 4 }, small);
    const ids = views.map((volume) => kept.hold([volume!]));
    // What the notebook itself refers to is there, however many they are.
    expect(ids.map((id) => kept.volumesOf(id) !== undefined)).toEqual([true, true, true, true]);
    views = [];
    globalThis.gc?.();
    // Whether the others are gone is the collector's affair; the latest two stay.
    expect(ids.slice(2).map((id) => kept.volumesOf(id)?.length)).toEqual([1, 1]);
  });

  it('count a volume of several views once', () => {
    const kept = new HeldVolumes(10_000);
    const shared = small();
    const strong = (id: string) => kept.volumesOf(id) !== undefined;
    const ids = Array.from({ length: 9 }, () => kept.hold([shared, shared]));
    expect(ids.every(strong)).toBe(true);
  });
});

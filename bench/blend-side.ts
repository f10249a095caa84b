import { blend, blendSlabs, extractPatch, type Patch, planGrid, VoxelMemory } from '../src/index';
import { measureCall } from './side';

/**
 * One run of our side: `node blend-side.js slabs|array memory|plain THREADS X Y Z` prints its measurements. The volume
 * lies in a VoxelMemory, as `readVolume(path, { memory })` returns it, or in a plain array.
 */
async function main(): Promise<void> {
  const [to, where, threads, x, y, z] = process.argv.slice(2);
  const grid = planGrid([Number(x), Number(y), Number(z)], { patch: [256, 256, 128], overlap: 0.25 });
  const voxels = grid.volume[0] * grid.volume[1] * grid.volume[2];
  const memory = where === 'memory' ? new VoxelMemory() : undefined;
  const volume = memory?.floats(voxels) ?? new Float32Array(voxels);
  for (let i = 0; i < volume.length; i++) volume[i] = (i * 2654435761) % 1000;

  /** The identity network: it returns a copy of its patch. */
  function* network(room: () => Float32Array): Generator<Patch> {
    for (let index = 0; index < grid.patches; index++) {
      yield { index, data: extractPatch(volume, grid, index, room()) };
    }
  }
  const options = { window: 'gaussian', threads: Number(threads), reuse: true, memory } as const;
  const measured = await measureCall(async () => {
    if (to === 'array') return blend(grid, network, options);
    let planes = 0;
    for await (const slab of blendSlabs(grid, network, options)) planes += slab.depth;
    return planes;
  });
  process.stdout.write(JSON.stringify(measured));
}

main().catch((error: unknown) => {
  process.stderr.write(`${error}\n`);
  process.exitCode = 1;
});

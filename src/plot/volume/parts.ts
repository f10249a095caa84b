/** Reads parts of volumes that a kernel holds, into memory that threads share. */
import { setImmediate as turn } from 'node:timers/promises';
import type { Vec3 } from '../../vec3';
import { cutBox } from '../../volume/resample';
import type { HeldVolume } from '../../volumes-bundle';

/** Images of datasets are stored in chunks of so many layers: a thinner part decodes whole chunks, too. */
export const STORED_LAYERS = 32;
/** Voxels copied at a time. Copying them takes one or two milliseconds. */
const COPIED_VOXELS = 1_000_000;

/** Reads the parts of one level, in the order of z. Of an image on the disk it keeps the layers that the next part needs. */
export class PartReader {
  readonly #layers = new Map<number, Promise<Float32Array>>();

  constructor(private readonly volume: HeldVolume) {}

  /** @throws for an image on the disk what `readPatch` throws */
  async read(start: Vec3, size: Vec3): Promise<Float32Array> {
    const { shape, voxels } = this.volume;
    const [nx, ny, nz] = size;
    const slice = nx * ny;
    const isWide = nx === shape[0] && ny === shape[1];
    if ('data' in voxels && isWide && voxels.data.buffer instanceof SharedArrayBuffer)
      return voxels.data.subarray(start[2] * slice, (start[2] + nz) * slice);
    const part = new Float32Array(new SharedArrayBuffer(4 * slice * nz));
    const most = Math.max(1, Math.floor(COPIED_VOXELS / slice));
    for (let z = 0; z < nz; ) {
      await turn(); // what waits for this thread has its turn between two copies
      const from: Vec3 = [start[0], start[1], start[2] + z];
      const depth = Math.min(most, nz - z, 'data' in voxels ? nz : STORED_LAYERS - (from[2] % STORED_LAYERS));
      part.set(await this.#copy(from, [nx, ny, depth]), z * slice);
      z += depth;
    }
    return part;
  }

  /** Slices that lie within the layers of a chunk. */
  async #copy(start: Vec3, size: Vec3): Promise<Float32Array> {
    const { shape, voxels } = this.volume;
    const slice = size[0] * size[1];
    if ('data' in voxels) {
      if (size[0] < shape[0] || size[1] < shape[1]) return cutBox(voxels.data, shape, start, size);
      return voxels.data.subarray(start[2] * slice, (start[2] + size[2]) * slice);
    }
    const first = start[2] - (start[2] % STORED_LAYERS);
    const depth = Math.min(STORED_LAYERS, shape[2] - first);
    const known = this.#layers.get(first);
    const layers = known ?? voxels.readPatch([start[0], start[1], first], [size[0], size[1], depth]);
    if (!known) this.#keep(first, layers);
    return (await layers).subarray((start[2] - first) * slice, (start[2] - first + size[2]) * slice);
  }

  /** Parts that are read at once may need two. */
  #keep(first: number, layers: Promise<Float32Array>): void {
    this.#layers.set(first, layers);
    if (this.#layers.size > 2) this.#layers.delete(this.#layers.keys().next().value!);
  }
}

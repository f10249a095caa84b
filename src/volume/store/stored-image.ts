import { createHash } from 'node:crypto';
import { InvalidArgument } from '../../errors';
import type { LongCall } from '../../progress';
import { type Axis, checkShape, eachAxis, type Size, type Vec3, voxelCount } from '../../vec3';
import type { Affine } from '../base/affine';
import type { StoredType } from '../base/datatypes';
import { errorOf } from '../base/failure';
import type { Intensity } from '../intensity';
import { cutBox } from '../resample';
import { Volume } from '../volume';
import type { Box } from './chunk-decoder';
import type { ImageRecord, IndexEntry, SplitName } from './format';
import type { ReadJob } from './read-worker';
import type { Threads } from './threads';

export type ReadThreads = Threads<ReadJob, Float32Array>;

export interface ReadPatchOptions extends Pick<LongCall, 'signal'> {
  /**
   * Threads that share the patch; default 1. Several patches requested at once use one thread each. More threads read
   * one large patch faster, but decode more in all.
   */
  readonly threads?: number;
}

/** An image of a dataset, read box by box. */
export class StoredImage {
  readonly shape: Vec3;
  readonly spacing: Vec3;
  readonly affine: Affine;
  /** Type of the stored voxels. They are read as float32. */
  readonly type: StoredType;

  constructor(
    /** The Zarr array's folder. */
    readonly folder: string,
    private readonly record: ImageRecord,
    private readonly threads: ReadThreads,
  ) {
    this.shape = record.shape;
    this.spacing = record.spacing;
    this.affine = record.affine;
    this.type = record.type;
  }

  /**
   * The voxels of a box in the file's values (Hounsfield units for CT): [z * y * x], x fastest. A voxel outside the
   * image takes the value of the nearest border voxel, as in `extractPatch`.
   * @param start first voxel `[x, y, z]`; may be negative
   * @param given size in voxels along each axis
   * @throws InvalidArgument if start or size are not whole numbers; UnreadableFile if the dataset is damaged; the
   *   signal's reason on abort
   */
  async readPatch(start: Vec3, given: Size, options: ReadPatchOptions = {}): Promise<Float32Array> {
    options.signal?.throwIfAborted();
    const size = checkShape('size', given);
    if (!(start.length === 3 && start.every(Number.isSafeInteger)))
      throw new InvalidArgument('start', 'three whole numbers, [x, y, z]', start);
    const clamp = (voxel: number, axis: Axis) => Math.min(Math.max(voxel, 0), this.shape[axis] - 1);
    const from = eachAxis((axis) => clamp(start[axis], axis));
    const inside = eachAxis((axis) => clamp(start[axis] + size[axis] - 1, axis) - from[axis] + 1);
    const voxels = await this.readBox({ start: from, size: inside }, options.threads ?? 1);
    options.signal?.throwIfAborted();
    if (inside.every((n, axis) => n === size[axis])) return voxels;
    const place = eachAxis((axis) => start[axis] - from[axis]);
    return cutBox(voxels, inside, place, size);
  }

  /** The whole image. Errors are those of `readPatch`. */
  async read(options: ReadPatchOptions = {}): Promise<Volume> {
    const data = await this.readPatch([0, 0, 0], this.shape, { threads: this.threads.most, ...options });
    const { shape, spacing, affine, folder } = this;
    return new Volume({ shape, spacing, affine, data, source: folder });
  }

  /** A box within the image, cut along z between threads. */
  private async readBox(box: Box, threads: number): Promise<Float32Array> {
    const boxes = cutAlongZ(box, this.record.chunk[2], Math.max(1, Math.min(threads, this.threads.most)));
    const { folder, record } = this;
    const answers = await Promise.all(boxes.map((box) => this.threads.run({ folder, record, box })));
    const parts = answers.map((answer) => {
      if ('failed' in answer) throw errorOf(answer.failed);
      return answer.result;
    });
    if (parts.length === 1) return parts[0]!;
    const whole = new Float32Array(voxelCount(box.size));
    const plane = box.size[0] * box.size[1];
    for (const [n, part] of parts.entries()) whole.set(part, (boxes[n]!.start[2] - box.start[2]) * plane);
    return whole;
  }
}

/** A volume of a dataset. */
export class StoredVolume extends StoredImage {
  readonly name: string;
  readonly patient: string;
  readonly split: SplitName;
  readonly intensity: Intensity;
  /** Least and greatest finite value. */
  readonly range: readonly [number, number];
  /** The file it was prepared from, relative to the input. */
  readonly source: string;
  /** Size of that file, and the SHA-256 of its content. */
  readonly original: { readonly bytes: number; readonly sha256: string };
  /** SHA-256 of all that decides its voxels and its side: the file, the settings, the split. */
  readonly digest: string;
  /** Whether a model made it. No run trains on it or measures it. */
  readonly blended: boolean;
  /** The smaller view, if the dataset has one. */
  readonly baseline?: StoredImage;

  constructor(folder: string, entry: IndexEntry, threads: ReadThreads) {
    super(`${folder}/image`, entry.image, threads);
    this.name = entry.name;
    this.patient = entry.patient;
    this.split = entry.split;
    this.intensity = entry.intensity;
    this.range = entry.range;
    this.source = entry.source.file;
    const decisive = [entry.source.sha256, entry.settings, entry.image, entry.split];
    this.digest = createHash('sha256').update(JSON.stringify(decisive)).digest('hex');
    this.original = entry.source;
    this.blended = entry.added === 'blended';
    if (entry.baseline) this.baseline = new StoredImage(`${folder}/baseline`, entry.baseline, threads);
  }
}

/** Cuts a box into at most `most` boxes at the borders of chunks, so that no chunk is decoded twice. */
function cutAlongZ({ start, size }: Box, chunk: number, most: number): Box[] {
  const first = Math.floor(start[2] / chunk);
  const layers = Math.floor((start[2] + size[2] - 1) / chunk) - first + 1;
  const count = Math.min(most, layers);
  const cut = (n: number) => {
    const border = (first + Math.round((n * layers) / count)) * chunk;
    return Math.min(Math.max(border, start[2]), start[2] + size[2]);
  };
  return Array.from({ length: count }, (_, n) => ({
    start: [start[0], start[1], cut(n)],
    size: [size[0], size[1], cut(n + 1) - cut(n)],
  }));
}

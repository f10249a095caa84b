/**
 * The messages of a volume view on a comm to `patchwise.volumes`. The page opens the comm with `VolumesOpened`. The
 * kernel sends levels from coarse to fine, each as one message `level` and its chunks. The page answers every chunk
 * with `got`, and the kernel leaves at most `MOST_UNANSWERED` of them without an answer.
 */
import type { Level } from '../../../src/volumes-bundle';

/** A kernel that waits for so many answers sends no further chunk. */
export const MOST_UNANSWERED = 3;

/** What a page opens the comm with. */
export interface VolumesOpened {
  /** The `id` of the stored bundle. */
  readonly id: string;
  /** The most voxels that a level may have in this browser, for one volume. */
  readonly most: number;
  /** The most voxels along one axis, if the browser has such a limit (WebGL's MAX_3D_TEXTURE_SIZE). */
  readonly longest?: number;
}

export type KernelToPage =
  | LevelMessage
  | ChunkMessage
  /** The best levels that fit have been sent, for every volume. */
  | { readonly type: 'complete' }
  /** The kernel no longer holds the volumes. The preview stays, with this message as a note. */
  | { readonly type: 'gone'; readonly message: string }
  /** The volumes cannot be sent. The preview stays, with this message as a note. */
  | { readonly type: 'error'; readonly message: string };

/** A level begins: `chunks` chunks of the same volume follow, in order, before the volume's next level. */
export interface LevelMessage {
  readonly type: 'level';
  /** The place of the volume in the bundle's `volumes`. */
  readonly volume: number;
  readonly level: Level;
  readonly chunks: number;
  /** The answer to `region`: a copy of full resolution of a part of the volume. */
  readonly region?: true;
}

/**
 * One buffer comes with it: gzip of the int16 bytes of a run of whole slices. The chunks of a level, decompressed and
 * joined in the order of `index`, are the level's voxels.
 */
export interface ChunkMessage {
  readonly type: 'chunk';
  readonly volume: number;
  readonly index: number;
}

export type PageToKernel =
  /** One chunk has come and is taken in. */
  | { readonly type: 'got' }
  /** Sent now and then: the page is still there. */
  | { readonly type: 'alive' }
  /**
   * Asks for full resolution around a point, where the whole volume does not fit. The kernel answers with a level of
   * that region for every volume. A newer request ends an older one: chunks of a level that is not complete may stop,
   * and the next `level` takes its place.
   */
  | {
      readonly type: 'region';
      /** Voxel at full resolution: the middle of the region. The kernel moves the region into the volume. */
      readonly at: readonly [x: number, y: number, z: number];
      /** Voxels at full resolution; the kernel shortens them to the volume's shape. */
      readonly size: readonly [x: number, y: number, z: number];
    };

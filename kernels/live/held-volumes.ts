/** The volumes of the views that notebooks show, so that a page can ask for them, also after it was reloaded. */
import { randomUUID } from 'node:crypto';
import { totalmem } from 'node:os';
import type { HeldVolume, HeldVoxels } from '../../src/volumes-bundle';

/**
 * Voxels that stay only because a view shows them. A quarter of the machine's memory is enough for a comparison of a whole
 * CT of 512 x 512 x 604 with two reconstructions (1.8 GiB) on a machine with 8 GiB, and no more: a user who forgets
 * volumes gets the rest back.
 */
const KEPT_BYTES = totalmem() / 4;

interface HeldView {
  /** The cell that shows it, if the front end names its cells. */
  readonly cell: string | undefined;
  readonly volumes: readonly Omit<HeldVolume, 'voxels'>[];
  readonly weak: readonly WeakRef<HeldVoxels>[];
  /** Keeps the voxels in memory; undefined for views that had to make room. */
  strong: readonly HeldVoxels[] | undefined;
}

export class HeldVolumes {
  /** In the order they were shown. */
  readonly #views = new Map<string, HeldView>();

  constructor(private readonly most = KEPT_BYTES) {}

  /**
   * Keeps the volumes of a view. The latest views keep their voxels in memory up to a limit. Earlier ones have theirs for
   * as long as the notebook itself refers to the volume.
   */
  hold(volumes: readonly HeldVolume[], cell?: string): string {
    const id = randomUUID();
    const voxels = volumes.map((volume) => volume.voxels);
    this.#views.set(id, {
      cell,
      volumes: volumes.map(({ voxels: _, ...rest }) => rest),
      weak: voxels.map((held) => new WeakRef(held)),
      strong: voxels,
    });
    this.#makeRoom();
    return id;
  }

  /** The volumes of a view; undefined if they are no longer there. */
  volumesOf(id: string): readonly HeldVolume[] | undefined {
    const view = this.#views.get(id);
    const voxels = view?.strong ?? view?.weak.map((reference) => reference.deref());
    const volumes = view?.volumes.flatMap((volume, i) => {
      const held = voxels?.[i];
      return held ? [{ ...volume, voxels: held }] : [];
    });
    return volumes?.length === view?.volumes.length ? volumes : undefined;
  }

  /** A view is shown nowhere any more. */
  release(id: string): void {
    this.#views.delete(id);
  }

  /** A cell begins: the views that it showed when it ran before are gone. */
  forget(cell: string | undefined): void {
    if (cell === undefined) return;
    for (const [id, view] of this.#views) if (view.cell === cell) this.#views.delete(id);
  }

  /** Lets go of the voxels of the earliest views until the others fit, and of views whose voxels are gone. */
  #makeRoom(): void {
    const kept = new Set<HeldVoxels>();
    let bytes = 0;
    for (const [id, view] of [...this.#views].reverse()) {
      const more = (view.strong ?? []).filter((voxels) => !kept.has(voxels));
      const size = more.reduce((sum, voxels) => sum + bytesOf(voxels), 0);
      if (bytes + size > this.most) view.strong = undefined;
      if (view.strong) {
        bytes += size;
        for (const voxels of more) kept.add(voxels);
      } else if (view.weak.some((reference) => reference.deref() === undefined)) this.#views.delete(id);
    }
  }
}

function bytesOf(voxels: HeldVoxels): number {
  return 'data' in voxels ? voxels.data.byteLength : 0;
}

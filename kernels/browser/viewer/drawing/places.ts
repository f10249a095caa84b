/** Which voxel lies where in the pictures of a viewer. Made with each drawing. */
import { apply, compose, invert, type Point } from '../voxels/affine';
import type { Space } from './box-image';
import type { Painter, Placed } from './painter';
import { axesOf, type Plane } from './planes';
import type { Tile } from './tiles';

/** Shift in mm to the right, anterior and superior, and zoom. */
export type Pan = readonly [right: number, anterior: number, superior: number, zoom: number];

export class Places {
  readonly #voxelOfFraction: readonly number[];
  readonly #pixel = window.devicePixelRatio || 1;

  /** @param placed where the slices among the tiles were drawn */
  constructor(
    private readonly painter: Painter,
    private readonly space: Space,
    private readonly tiles: readonly Tile[],
    private readonly placed: ReadonlyMap<Tile, Placed>,
  ) {
    this.#voxelOfFraction = compose(invert(space.affine), painter.worldOfFraction);
  }

  /** The tile at a place of the picture, in CSS pixels. */
  tileAt(x: number, y: number): Tile | undefined {
    return this.tiles.find(
      ({ left, top, width, height }) => x >= left && x < left + width && y >= top && y < top + height,
    );
  }

  /** The fraction of the volume's box at a place of a slice. */
  fractionAt(x: number, y: number): Point | undefined {
    const placed = this.#placedAt(x, y);
    return placed && this.painter.fractionAt(placed, x * this.#pixel, y * this.#pixel);
  }

  /** The voxel at a place of a slice; undefined outside of the volume. */
  voxelAt(x: number, y: number): Point | undefined {
    const voxel = this.#roundedAt(x, y);
    return voxel?.every((at, axis) => at >= 0 && at < this.space.shape[axis]!) ? voxel : undefined;
  }

  /** The voxel nearest to a place of a slice. */
  nearestVoxelAt(x: number, y: number): Point | undefined {
    const voxel = this.#roundedAt(x, y);
    return voxel?.map((at, axis) => this.#inside(at, axis)) as Point | undefined;
  }

  fractionOf(voxel: Point): Point {
    return apply(invert(this.#voxelOfFraction), voxel);
  }

  /** The voxel axis that a plane is cut across, and whether it runs to the right, anterior or superior. */
  axisThrough(plane: Plane): { axis: 0 | 1 | 2; sign: number } {
    const along = (axis: number): number => this.#voxelOfFraction[4 * axis + axesOf[plane].through]!;
    const axis = ([0, 1, 2] as const).reduce((a, b) => (Math.abs(along(b)) > Math.abs(along(a)) ? b : a));
    return { axis, sign: Math.sign(along(axis)) };
  }

  /** The voxel some slices of a plane further to the right, anterior or superior; the last one at the end. */
  stepped(voxel: Point, plane: Plane, steps: number): Point {
    const { axis, sign } = this.axisThrough(plane);
    return voxel.map((at, of) => (of === axis ? this.#inside(at + sign * steps, axis) : at)) as never;
  }

  /** The shift by which the slice at a place follows a drag of some CSS pixels. */
  dragged(pan: Pan, [x, y]: readonly [number, number], right: number, down: number): Pan | undefined {
    const placed = this.#placedAt(x, y);
    if (!placed) return undefined;
    const { across, up } = axesOf[placed.plane];
    const moved: [number, number, number, number] = [...pan];
    moved[across] += (right * this.#pixel * placed.across * pan[3]) / placed.box.width;
    moved[up] -= (down * this.#pixel * placed.up * pan[3]) / placed.box.height;
    return moved;
  }

  /** Shift and zoom by which a fraction of the volume's box stays where it is on the screen. */
  zoomed(pan: Pan, fraction: Point, zoom: number): Pan {
    return zoom === 1 ? [0, 0, 0, 1] : this.painter.zoomed(pan, fraction, zoom);
  }

  #placedAt(x: number, y: number): Placed | undefined {
    const tile = this.tileAt(x, y);
    return tile && this.placed.get(tile);
  }

  #roundedAt(x: number, y: number): Point | undefined {
    const fraction = this.fractionAt(x, y);
    return fraction && (apply(this.#voxelOfFraction, fraction).map(Math.round) as unknown as Point);
  }

  #inside(at: number, axis: number): number {
    return Math.max(0, Math.min(this.space.shape[axis]! - 1, at));
  }
}

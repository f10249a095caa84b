import { type Axis, eachAxis, type Vec3, voxelCount } from '../../vec3';

/** An ellipsoid in mm with axes along the patient's. `square` makes it squarer in the axial plane. */
export interface Ellipsoid {
  readonly centre: Vec3;
  /** Half axes; an infinite z makes a cylinder. */
  readonly radii: Vec3;
  /** 0 is an ellipse in the axial plane, 1 a rectangle (Fernandez-Guasti's squircle). */
  readonly square?: number;
  /** True for flat ends, as a vertebra has. */
  readonly flat?: boolean;
}

/** A straight piece of a vessel in mm, with a radius at `from` and one at `to`. */
export interface Tube {
  readonly from: Vec3;
  readonly to: Vec3;
  readonly radii: readonly [number, number];
}

/**
 * Voxels that cover a field of view in mm around [0, 0, 0], painted one body after another. Edges are one voxel soft,
 * so a coarse phantom shows partial volumes as a coarse scan does.
 */
export class Canvas {
  readonly data: Float32Array; // [z * y * x], x fastest
  readonly pitch: Vec3; // mm per voxel
  readonly edge: number; // mm over which an edge fades

  constructor(
    readonly shape: Vec3,
    readonly field: Vec3,
    background: number,
  ) {
    this.data = new Float32Array(voxelCount(shape)).fill(background);
    this.pitch = eachAxis((axis) => field[axis] / shape[axis]);
    this.edge = (this.pitch[0] + this.pitch[1] + this.pitch[2]) / 3;
  }

  /** Centre of voxel `index` along an axis, in mm. */
  position(axis: Axis, index: number): number {
    return (index + 0.5) * this.pitch[axis] - this.field[axis] / 2;
  }

  /** The voxels [first, end) along an axis with centres between `low` and `high` mm, plus an edge's width. */
  span(axis: Axis, low: number, high: number): [number, number] {
    const at = (mm: number) => (mm + this.field[axis] / 2) / this.pitch[axis] - 0.5;
    const first = Math.max(0, Math.ceil(at(low - this.edge)));
    return [first, Math.min(this.shape[axis], Math.floor(at(high + this.edge)) + 1)];
  }

  /** Fills an ellipsoid with a value in HU. */
  ellipsoid(body: Ellipsoid, value: number): void {
    const { centre, radii, square = 0, flat = false } = body;
    const [[xFirst, xEnd], [yFirst, yEnd], [zFirst, zEnd]] = eachAxis((axis) =>
      this.span(axis, centre[axis] - radii[axis], centre[axis] + radii[axis]),
    );
    const fade = this.edge / Math.min(...radii);
    const [inner, outer] = [Math.max(0, 1 - fade) ** 2, (1 + fade) ** 2];
    for (let z = zFirst; z < zEnd; z++) {
      const dz = this.position(2, z) - centre[2];
      const wz = flat ? (dz / radii[2]) ** 8 : (dz / radii[2]) ** 2;
      for (let y = yFirst; y < yEnd; y++) {
        const dy = this.position(1, y) - centre[1];
        const wy = (dy / radii[1]) ** 2;
        if (wy * (1 - square) + wz > outer) continue;
        const row = this.shape[0] * (y + this.shape[1] * z);
        for (let x = xFirst; x < xEnd; x++) {
          const dx = this.position(0, x) - centre[0];
          const wx = (dx / radii[0]) ** 2;
          const q = wx + wy - square * wx * wy + wz; // 1 on the surface
          if (q >= outer) continue;
          if (q <= inner) this.data[row + x] = value;
          else this.blend(row + x, value, length(dx, dy, flat ? 0 : dz) * (1 / Math.sqrt(q) - 1));
        }
      }
    }
  }

  /** Fills tubes. */
  tubes(tubes: readonly Tube[], value: number): void {
    for (const tube of tubes) this.tube(tube, value);
  }

  /** Fills a tube. A tube thinner than a voxel is as faint as its share of the voxel. */
  tube({ from, to, radii }: Tube, value: number): void {
    const widest = Math.max(...radii);
    const [[xFirst, xEnd], [yFirst, yEnd], [zFirst, zEnd]] = eachAxis((axis) =>
      this.span(axis, Math.min(from[axis], to[axis]) - widest, Math.max(from[axis], to[axis]) + widest),
    );
    const along = eachAxis((axis) => to[axis] - from[axis]);
    const lengthSquared = along[0] ** 2 + along[1] ** 2 + along[2] ** 2 || 1;
    const share = Math.min(1, (Math.PI * widest ** 2) / this.edge ** 2);
    for (let z = zFirst; z < zEnd; z++) {
      const dz = this.position(2, z) - from[2];
      for (let y = yFirst; y < yEnd; y++) {
        const dy = this.position(1, y) - from[1];
        const row = this.shape[0] * (y + this.shape[1] * z);
        for (let x = xFirst; x < xEnd; x++) {
          const dx = this.position(0, x) - from[0];
          const dot = (dx * along[0] + dy * along[1] + dz * along[2]) / lengthSquared;
          const t = Math.max(0, Math.min(1, dot));
          const distance = length(dx - t * along[0], dy - t * along[1], dz - t * along[2]);
          const radius = radii[0] + t * (radii[1] - radii[0]);
          this.blend(row + x, value, radius - distance, share);
        }
      }
    }
  }

  /** Mixes a value into a voxel whose centre lies `depth` mm inside a surface (outside: negative). */
  blend(at: number, value: number, depth: number, share = 1): void {
    const cover = 0.5 + depth / this.edge;
    if (cover <= 0) return;
    this.data[at]! += (value - this.data[at]!) * Math.min(1, cover) * share;
  }
}

/** Math.hypot guards against overflow and is ten times slower. */
function length(x: number, y: number, z: number): number {
  return Math.sqrt(x * x + y * y + z * z);
}

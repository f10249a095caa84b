import type { Random } from '../../random';
import type { Vec3 } from '../../vec3';
import type { Ellipsoid, Tube } from './canvas';

/** The start of a tree of vessels, and the lung that it fills. */
export interface Root {
  readonly at: Vec3;
  readonly towards: Vec3;
  readonly radius: number; // mm
  readonly lung: Ellipsoid;
}

/** A vessel between two forks: three straight pieces that bend. */
export interface Branch {
  readonly pieces: readonly Tube[];
  readonly radius: number; // mm, at its start
}

const piecesPerBranch = 3;

/**
 * Grows a tree that forks until its branches are thinner than `thinnest` mm. Radii follow Murray's law,
 * r^3 = r1^3 + r2^3 (J. Gen. Physiol. 1926). Lengths are 3 to 5 radii, at least 5 mm. Branches that would leave the
 * lung bend back to its centre. Deterministic in `random`.
 */
export function growTree(root: Root, thinnest: number, random: Random): Branch[] {
  const branches: Branch[] = [];
  const waiting = [{ at: root.at, heading: direction(root.at, root.towards), radius: root.radius }];
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const { radius } = next;
    const share = 0.6 + 0.4 * random.next(); // radius of the smaller child over that of the larger
    const larger = radius / Math.cbrt(1 + share ** 3);
    const children = [larger, larger * share];
    const length = Math.max(5, radius * (3 + 2 * random.next()));
    const { pieces, end, heading } = growBranch(next, larger, length, root.lung, random);
    branches.push({ pieces, radius });
    const side = across(heading, random);
    for (const [n, childRadius] of children.entries()) {
      if (childRadius < thinnest) continue;
      // The larger child turns less.
      const angle = (n === 0 ? -0.35 : 0.75) * (0.8 + 0.5 * random.next());
      waiting.push({ at: end, heading: turn(heading, side, angle), radius: childRadius });
    }
  }
  return branches;
}

/** Clots that fill three quarters of a branch's width. They leave the thin bright rim that radiologists look for. */
export function emboli(branches: readonly Branch[], count: number, random: Random): Tube[] {
  const wide = branches.filter(({ radius }) => radius > 2 && radius < 8);
  const chosen = random.permutation(wide.length).slice(0, count);
  return chosen.flatMap((n) =>
    wide[n]!.pieces.slice(0, 2).map(({ from, to, radii }) => ({
      from,
      to,
      radii: [radii[0] * 0.75, radii[1] * 0.75] as const,
    })),
  );
}

function growBranch(
  start: { readonly at: Vec3; readonly heading: Vec3; readonly radius: number },
  endRadius: number,
  length: number,
  lung: Ellipsoid,
  random: Random,
): { pieces: Tube[]; end: Vec3; heading: Vec3 } {
  const pieces: Tube[] = [];
  let { at: from, heading } = start;
  for (let n = 0; n < piecesPerBranch; n++) {
    heading = turn(heading, across(heading, random), 0.2 * random.next());
    const step = length / piecesPerBranch;
    // The further outside the next point would lie, the harder the branch bends inwards.
    const outside = depthIn(lung, along(from, heading, step)) - 0.85;
    if (outside > 0) {
      const inwards = direction(from, lung.centre);
      const pull = Math.min(1, 4 * outside);
      heading = unit([0, 1, 2].map((axis) => heading[axis]! * (1 - pull) + inwards[axis]! * pull));
    }
    const to = along(from, heading, step);
    const radiusAt = (piece: number) => start.radius + ((endRadius - start.radius) * piece) / piecesPerBranch;
    pieces.push({ from, to, radii: [radiusAt(n), radiusAt(n + 1)] });
    from = to;
  }
  return { pieces, end: from, heading };
}

/** 0 at a lung's centre, 1 on its surface. */
function depthIn({ centre, radii }: Ellipsoid, point: Vec3): number {
  return Math.hypot(...point.map((value, axis) => (value - centre[axis]!) / radii[axis]!));
}

/** A random unit vector perpendicular to `heading`. */
function across(heading: Vec3, random: Random): Vec3 {
  const any: Vec3 = [random.normal(), random.normal(), random.normal()];
  const dot = any[0] * heading[0] + any[1] * heading[1] + any[2] * heading[2];
  return unit(any.map((value, axis) => value - dot * heading[axis]!));
}

function turn(heading: Vec3, side: Vec3, angle: number): Vec3 {
  return unit(heading.map((value, axis) => value * Math.cos(angle) + side[axis]! * Math.sin(angle)));
}

function along(from: Vec3, heading: Vec3, step: number): Vec3 {
  return [from[0] + heading[0] * step, from[1] + heading[1] * step, from[2] + heading[2] * step];
}

function direction(from: Vec3, to: Vec3): Vec3 {
  return unit([to[0] - from[0], to[1] - from[1], to[2] - from[2]]);
}

function unit(vector: readonly number[]): Vec3 {
  const length = Math.hypot(...vector) || 1;
  return [vector[0]! / length, vector[1]! / length, vector[2]! / length];
}

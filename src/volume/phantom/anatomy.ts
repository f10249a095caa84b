import type { Vec3 } from '../../vec3';
import type { Canvas, Ellipsoid, Tube } from './canvas';

/**
 * The phantom's chest in mm around its centre: x to the patient's left, y to the back, z to the head. The sizes are an
 * adult's. The values in HU are those of a CT in the pulmonary arterial phase.
 */
export const fieldOfView: Vec3 = [360, 360, 300];
export const air = -1000;
export const contrast = 350; // pulmonary arteries
export const clot = 50;

const fat = -100;
const muscle = 55;
const lungTissue = -860;
const cortex = 650;
const marrow = 220;

export const rightLung: Ellipsoid = { centre: [-68, 0, 0], radii: [57, 78, 128], square: 0.35 };
export const leftLung: Ellipsoid = { centre: [70, 2, 4], radii: [54, 78, 124], square: 0.35 };
const cavity: Ellipsoid = { centre: [0, 0, -70], radii: [135, 88, 320], square: 0.45 };

/** The body's wall and the lungs, from the outside in: later paint covers earlier paint. */
export function paintChest(canvas: Canvas): void {
  paintTable(canvas);
  canvas.ellipsoid({ centre: [0, 6, -60], radii: [170, 120, 480], square: 0.4 }, fat);
  canvas.ellipsoid({ centre: [0, 5, -60], radii: [154, 106, 440], square: 0.45 }, muscle);
  canvas.ellipsoid(cavity, fat);
  canvas.ellipsoid(rightLung, lungTissue);
  canvas.ellipsoid(leftLung, lungTissue);
}

/** Organs, great vessels, airways and bones. They cover the vessels of the lungs. */
export function paintOrgans(canvas: Canvas): void {
  for (const [body, value] of organs) canvas.ellipsoid(body, value);
  for (const [course, radius, value] of vessels) canvas.tubes(tubesAlong(course, radius), value);
  canvas.tubes(tubesAlong(airways[0]!, 11), 30);
  for (const [n, course] of airways.entries()) canvas.tubes(tubesAlong(course, n === 0 ? 9 : 6), -970);
  paintRibs(canvas);
  paintSpine(canvas);
}

const organs: readonly (readonly [Ellipsoid, number])[] = [
  [{ centre: [-64, -4, -135], radii: [72, 82, 78] }, 105], // liver, its dome under the right lung
  [{ centre: [70, 0, -140], radii: [60, 80, 66] }, 60], // stomach
  [{ centre: [96, 36, -125], radii: [28, 36, 44] }, 115], // spleen
  [{ centre: [62, -28, -112], radii: [26, 22, 14] }, -900], // gas in the stomach
  [{ centre: [22, -18, -48], radii: [68, 56, 62] }, fat], // fat around the heart
  [{ centre: [24, -18, -48], radii: [62, 50, 56] }, 90], // heart muscle
  [{ centre: [-20, -14, -36], radii: [24, 28, 32] }, 300], // right atrium
  [{ centre: [14, -42, -48], radii: [34, 20, 36] }, 340], // right ventricle
  [{ centre: [50, -14, -54], radii: [26, 24, 36] }, 200], // left ventricle
  [{ centre: [10, 18, -24], radii: [34, 18, 24] }, 230], // left atrium
  [{ centre: [0, -95, 10], radii: [18, 7, 84], square: 0.6 }, cortex], // breastbone
  [{ centre: [0, -95, 10], radii: [15, 4, 80], square: 0.6 }, marrow],
  [{ centre: [-30, 92, 0], radii: [28, 15, Number.POSITIVE_INFINITY] }, muscle], // muscle beside the spine
  [{ centre: [30, 92, 0], radii: [28, 15, Number.POSITIVE_INFINITY] }, muscle],
  [{ centre: [-118, 62, 105], radii: [6, 34, 60] }, cortex], // shoulder blades
  [{ centre: [118, 62, 105], radii: [6, 34, 60] }, cortex],
];

const aorta = course('4,-12,-16  -8,-24,20  -6,-22,46  6,-4,66  22,22,66  30,40,44  30,44,-40  16,42,-150');

/** Course in mm, radius in mm, value in HU. */
const vessels: readonly (readonly [readonly Vec3[], number, number])[] = [
  [aorta, 12.5, 210],
  [course('-2,-14,64  -16,-14,100  -30,-10,150'), 6, 210], // brachiocephalic artery
  [course('14,8,70  22,4,110  30,0,150'), 4.5, 210], // left carotid
  [course('-28,-20,150  -28,-14,90  -24,-8,-12'), 9, 460], // superior vena cava, full of contrast
  [course('-18,14,-150  -20,2,-50'), 12, 110], // inferior vena cava
  [course('4,38,150  8,40,0  12,30,-150'), 6, 40], // gullet
  [course('-22,-78,118  -70,-72,136  -120,-50,142'), 6, cortex], // collar bones
  [course('22,-78,118  70,-72,136  120,-50,142'), 6, cortex],
];

/** Windpipe and main bronchi. */
const airways: readonly (readonly Vec3[])[] = [
  course('0,18,150  0,24,44'),
  course('0,24,44  -34,26,14  -52,28,-12'),
  course('0,24,44  38,28,14  54,30,-14'),
];

/** Points in mm, written `x,y,z  x,y,z`. */
export function course(points: string): Vec3[] {
  return points.split('  ').map((point) => point.split(',').map(Number) as unknown as Vec3);
}

export function tubesAlong(course: readonly Vec3[], radius: number): Tube[] {
  return course.slice(1).map((to, n) => ({ from: course[n]!, to, radii: [radius, radius] as const }));
}

/** The scanner's table under the patient: the lower rim of a shallow trough. */
function paintTable(canvas: Canvas): void {
  const radii: Vec3 = [250, 90, Number.POSITIVE_INFINITY];
  canvas.ellipsoid({ centre: [0, 72, 0], radii }, -350);
  canvas.ellipsoid({ centre: [0, 68, 0], radii }, air);
}

const ribDistance = 25; // mm from one rib to the next
const ribSlope = 0.42; // the ribs descend towards the front

/** Ribs: rods around the chest's cavity, 9 mm thick and 14 mm high, cortex around marrow, with cartilage in front. */
function paintRibs(canvas: Canvas): void {
  const { centre, radii, square = 0 } = cavity;
  const [nx, ny, nz] = canvas.shape;
  for (let z = 0; z < nz; z++) {
    const mmZ = canvas.position(2, z);
    const wz = ((mmZ - centre[2]) / radii[2]) ** 2;
    for (let y = 0; y < ny; y++) {
      const dy = canvas.position(1, y) - centre[1];
      const wy = (dy / radii[1]) ** 2;
      if (wy * (1 - square) > 1.4) continue;
      const level = (mmZ - ribSlope * dy) / ribDistance;
      const high = ((level - Math.round(level)) * ribDistance) / 7;
      if (Math.abs(high) > 1 + canvas.edge / 7) continue;
      for (let x = 0; x < nx; x++) {
        const dx = canvas.position(0, x) - centre[0];
        const wx = (dx / radii[0]) ** 2;
        const around = Math.sqrt(wx + wy - square * wx * wy + wz);
        if (around < 0.9 || around > 1.25) continue;
        const thick = ((around - 1.06) * Math.hypot(dx, dy)) / 4.5;
        const f = Math.hypot(thick, high);
        const bone = Math.abs(dx) > 34 || dy > 0;
        canvas.blend(x + nx * (y + ny * z), bone ? (f > 0.62 ? cortex : marrow) : 110, (1 - f) * 5.5);
      }
    }
  }
}

const vertebraDistance = 25; // mm

function paintSpine(canvas: Canvas): void {
  const column = (x: number, y: number, rx: number, ry: number, value: number) =>
    canvas.ellipsoid({ centre: [x, y, 0], radii: [rx, ry, Number.POSITIVE_INFINITY] }, value);
  column(0, 58, 17, 14, 80); // discs
  for (let z = -150; z <= 150; z += vertebraDistance) {
    const body = { centre: [0, 58, z], square: 0.3, flat: true } as const;
    canvas.ellipsoid({ centre: [0, 80, z], radii: [14, 13, 9], flat: true }, cortex); // arch
    canvas.ellipsoid({ centre: [0, 98, z - 6], radii: [4, 14, 8] }, cortex); // spinous process
    for (const x of [-24, 24]) canvas.ellipsoid({ centre: [x, 84, z], radii: [20, 5, 6] }, cortex); // transverse process
    canvas.ellipsoid({ ...body, radii: [18, 15, 10.5] }, cortex);
    canvas.ellipsoid({ ...body, radii: [16, 13, 8.5] }, marrow);
  }
  column(0, 80, 9, 8, 30); // spinal canal
}

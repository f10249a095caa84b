/** The three anatomical planes, by the radiological convention. */

export const planes = ['axial', 'coronal', 'sagittal'] as const;
export type Plane = (typeof planes)[number];

/** The number that NiiVue gives a plane. */
export const sliceTypeOf = (plane: Plane): number => planes.indexOf(plane);

/** World axes (right, anterior, superior) of a plane on the screen, and the one it is cut across. */
export const axesOf: Readonly<Record<Plane, { across: 0 | 1 | 2; up: 0 | 1 | 2; through: 0 | 1 | 2 }>> = {
  axial: { across: 0, up: 1, through: 2 },
  coronal: { across: 0, up: 2, through: 1 },
  sagittal: { across: 1, up: 2, through: 0 },
};

/** The letters at the edges: the patient's right is on the left, and anterior is on the left of a sagittal picture. */
export const edgesOf: Readonly<Record<Plane, Readonly<Record<'left' | 'right' | 'top' | 'bottom', string>>>> =
  {
    axial: { left: 'R', right: 'L', top: 'A', bottom: 'P' },
    coronal: { left: 'R', right: 'L', top: 'S', bottom: 'I' },
    sagittal: { left: 'A', right: 'P', top: 'S', bottom: 'I' },
  };

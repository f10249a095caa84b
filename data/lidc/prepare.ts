import { type Collection, main } from '../collection';

/** LIDC-IDRI, The Cancer Imaging Archive: 1,018 CT series of 1,010 patients. */
export const lidc: Collection = {
  name: 'LIDC-IDRI',
  expected: { volumes: 1018, patients: 1010 },
  patient: '(LIDC-IDRI-\\d{4})',
  fewestSlices: 50, // the smallest CT has 65; chest X-rays have one
};

if (require.main === module) main(lidc);

import { type Collection, main } from '../collection';

/** RSPECT, Kaggle's training part: 7,279 studies with one CTPA series each. It names studies, not patients. */
export const rspect: Collection = {
  name: 'RSPECT',
  expected: { volumes: 7279, patients: 7279 },
  patient: '^(?:.*/)?([0-9a-f]{12})_',
  convertedName: '%k_%j',
  fewestSlices: 50,
};

if (require.main === module) main(rspect);

import { type Collection, main } from '../collection';

/** CTs of your own: NIfTI files in any folder. */
export const own: Collection = {
  name: 'own data',
  fewestSlices: 16,
};

if (require.main === module) main(own);

import { type Collection, main } from '../collection';

/** Your own CTs: volume files in any folder. */
export const own: Collection = {
  name: 'own data',
  fewestSlices: 16,
};

if (require.main === module) main(own);

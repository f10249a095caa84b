import { type Collection, main } from '../collection';

/** CTs of your own: NIfTI files in any folder. */
export const own: Collection = {
  name: 'own data',
  convert: (dicom, nifti) => `mkdir -p ${nifti} && dcm2niix -z y -b n -f %i_%s -o ${nifti} -d 9 ${dicom}`,
  fewestSlices: 16,
};

if (require.main === module) main(own);

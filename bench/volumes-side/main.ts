import {
  convertDicom,
  phantom,
  prepareDataset,
  readHeader,
  readVolume,
  readVoxels,
  writeVolume,
} from '../../src/index';
import { writeSeries } from './dicom-series';

/**
 * One run of our side: `node main.js WHAT PATH [OUT]` prints seconds, seconds of processor time and peak MiB. `make STEM SHAPE` writes the
 * phantom that the others read.
 */
async function main(): Promise<void> {
  const [what, path, out] = process.argv.slice(2);
  if (what === 'make') {
    const volume = phantom({ shape: out!.split('x').map(Number) });
    await writeVolume(`${path}.nii`, volume, { dtype: 'int16' });
    await writeVolume(`${path}.nii.gz`, volume, { dtype: 'int16' });
    return writeSeries(`${path}-dicom`, volume);
  }
  const volume = what === 'write' ? await readVolume(path!) : undefined;
  // Loads what the first header imports before the clock starts, as for nibabel.
  if (/\.nii/.test(path!)) await readHeader(path!);
  const before = process.cpuUsage();
  const start = performance.now();
  if (what === 'voxels') await readVoxels(path!);
  else if (what === 'prepare') await prepareDataset(path!, out!);
  else if (what === 'convert') await convertDicom(path!, out!);
  else if (volume) await writeVolume(out!, volume, { dtype: 'int16' });
  else await readVolume(path!);
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(before);
  const mebibytes = process.resourceUsage().maxRSS / 1024;
  process.stdout.write(JSON.stringify({ seconds, cpu: (user + system) / 1e6, mebibytes }));
}

main().catch((error: unknown) => {
  process.stderr.write(`${error}\n`);
  process.exitCode = 1;
});

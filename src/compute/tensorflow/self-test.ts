/** Tests a fresh build of tfjs-node; the arguments are its folder and the package's name. */
import { printSelfTest } from '../contract/self-test';
import { tensorflowBackend } from './backend';
import type { TfjsNodePackage } from './built';

const [folder, packageName] = process.argv.slice(2) as [string, TfjsNodePackage];
void printSelfTest(async () => {
  const backend = tensorflowBackend(folder, packageName);
  return { backend, found: { gpu: backend.device !== 'CPU' } };
});

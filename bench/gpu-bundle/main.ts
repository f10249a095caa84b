import { resolve } from 'node:path';
import { packBundle } from './bundle';

/** `npm run gpu-bundle -- FILE`: the bundle of the GPU day, by default in `gpu-bundle.tar.xz`. */
function main(file = 'gpu-bundle.tar.xz'): void {
  const path = resolve(file);
  const bytes = packBundle(path);
  console.log(`wrote ${path}, ${(bytes / 1e6).toFixed(1)} MB`);
  console.log('On the other machine: tar xf, then in its folder: ./node dist/src/cli.js doctor');
}

main(process.argv[2]);

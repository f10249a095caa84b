import { expect, it } from 'vitest';
import { errorOfLoading, loaded } from '../../../src/volume/base/fault';

const here = process.cwd();
const emfile = { code: 'EMFILE', syscall: 'open' };

it.each([
  `Cannot find package '${here}/node_modules/nifti-reader-js/index.js' imported from ${here}/dist/src/index.js`,
  `Cannot find package 'nifti-reader-js' imported from ${here}/dist/src/index.js`,
  `Cannot find module 'iota-array'\nRequire stack:\n- ${here}/node_modules/ndarray/ndarray.js\n- ${here}/index.js`,
  `Cannot find module './fault'\nRequire stack:\n- ${here}/dist/src/volume/base/failure.js`,
])('knows that there are too many open files where Node calls a module missing: %s', (message) => {
  expect(errorOfLoading(new Error(message))).toMatchObject(emfile);
});

it.each([
  `Cannot find package '${here}/node_modules/nifti-reader-2/index.js' imported from ${here}/dist/src/index.js`,
  `Cannot find module '${here}/node_modules/nifti-reader-js/dist/missing.js' imported from ${here}/dist/src/index.js`,
  `Cannot find package 'nifti-reader-2' imported from ${here}/dist/src/index.js`,
  `Cannot find module './fault-2'\nRequire stack:\n- ${here}/dist/src/volume/base/failure.js`,
  'a fault in the package',
])('leaves other errors as they are: %s', (message) => {
  const error = new Error(message);
  expect(errorOfLoading(error)).toBe(error);
});

it('does so for packages that import() loads', async () => {
  const missing = new Error(`Cannot find package 'vitest' imported from ${here}/dist/src/index.js`);
  await expect(loaded(Promise.reject(missing))).rejects.toMatchObject(emfile);
  expect(await loaded(Promise.resolve(5))).toBe(5);
});

import v8 from 'node:v8';
import vm from 'node:vm';

v8.setFlagsFromString('--expose-gc');
const collect = vm.runInNewContext('gc') as () => void;

/** Bytes that this process holds in its heap, once everything without a use is gone: V8 keeps code for some collections. */
export function heapUsed(): number {
  for (let n = 0; n < 10; n++) collect();
  return process.memoryUsage().heapUsed;
}

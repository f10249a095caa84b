/** Where the built tfjs-node is, and whether it still fits the TensorFlow it was built against. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UnavailableBackend } from '../../errors';
import { buildCommand, buildFolder, readBuildRecord } from '../machine/toolchain';

/** The tfjs-node that fits our tfjs-core. */
export const TFJS_NODE = '4.22.0';

/** The global symbol under which tfjs-node finds our tfjs-core: with another, its kernels would not be ours. */
export const OUR_TFJS = 'patchwise.tfjs-core';

/** Written when what was built has passed its test. */
export interface TensorflowRecord {
  readonly tensorflow: string;
  /** How TensorFlow was found. */
  readonly from: string;
  readonly package: '@tensorflow/tfjs-node' | '@tensorflow/tfjs-node-gpu';
  readonly tfjsNode: string;
  /** TensorFlow's library and its size, to notice when another takes its place. */
  readonly library: string;
  readonly librarySize: number;
  readonly seconds: number;
}

const recordPath = () => join(buildFolder('tensorflow'), 'build.json');

export function bindingPath(folder: string = buildFolder('tensorflow')): string {
  return join(folder, 'tfjs_binding.node');
}

/** The addon that loads TensorFlow and catches what it prints meanwhile. */
export function loaderPath(folder: string): string {
  return join(folder, 'load.node');
}

export function tfjsNodePackage(gpu: boolean): TensorflowRecord['package'] {
  return gpu ? '@tensorflow/tfjs-node-gpu' : '@tensorflow/tfjs-node';
}

/** Whether it was built here, fitting or not. */
export function isTensorflowBuilt(): boolean {
  return existsSync(recordPath()) && existsSync(bindingPath());
}

/** The record of the build. @throws UnavailableBackend, with the command, where there is none or it is stale. */
export function requireTensorflow(): TensorflowRecord {
  const cure = `Run \`${buildCommand('tensorflow')}\``;
  if (!isTensorflowBuilt())
    throw new UnavailableBackend('tensorflow', 'it is not built', `${cure}, which says what it needs`);
  const record = readBuildRecord<TensorflowRecord>(recordPath());
  if (!record) throw new UnavailableBackend('tensorflow', `${recordPath()} is damaged`, cure);
  const size = statSync(record.library, { throwIfNoEntry: false })?.size;
  if (record.tfjsNode !== TFJS_NODE || size !== record.librarySize) {
    const why = size
      ? 'it was built from other versions than those here now'
      : `${record.library} is not there any more`;
    throw new UnavailableBackend('tensorflow', why, cure);
  }
  return record;
}

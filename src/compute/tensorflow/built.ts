/** What was built of tfjs-node, and whether it still fits the TensorFlow it was built against. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { SelfTest } from '../contract/self-test';
import { requireBuilt } from '../machine/toolchain';

/** The tfjs-node that fits our tfjs-core. */
export const TFJS_NODE = '4.22.0';

/** The global symbol under which tfjs-node finds our tfjs-core: with another, its kernels would not be ours. */
export const OUR_TFJS = 'patchwise.tfjs-core';

export type TfjsNodePackage = '@tensorflow/tfjs-node' | '@tensorflow/tfjs-node-gpu';

/** Kept beside the addon once it has passed its test. */
export interface TensorflowBuild {
  readonly tensorflow: string;
  /** How TensorFlow was found. */
  readonly from: string;
  readonly package: TfjsNodePackage;
  readonly tfjsNode: string;
  /** TensorFlow's library and its size: another may have taken its place. */
  readonly library: string;
  readonly librarySize: number;
  readonly seconds: number;
  readonly test: SelfTest & { readonly gpu: boolean };
}

/** tfjs-node's addon, and the addon that loads TensorFlow and catches what it prints meanwhile. */
export const bindingPath = (folder: string): string => join(folder, 'tfjs_binding.node');
export const loaderPath = (folder: string): string => join(folder, 'load.node');

/** The record of the build. @throws UnavailableBackend, with the command, if there is none or it is stale. */
export function requireTensorflow(): TensorflowBuild {
  return requireBuilt<TensorflowBuild>('tensorflow', ({ library, librarySize, tfjsNode }) => {
    const size = statSync(library, { throwIfNoEntry: false })?.size;
    if (size === undefined) return `${library} is gone`;
    if (tfjsNode === TFJS_NODE && size === librarySize) return undefined;
    return 'it was built from other versions than those here now';
  });
}

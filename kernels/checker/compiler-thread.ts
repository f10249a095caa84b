/** Worker thread of the TypeScript engine that compiles until the checker's thread, which takes longer to start, can. */
import { parentPort } from 'node:worker_threads';
import { loadTypescript } from '../cells/typescript';
import { serve } from '../process/thread-client';
import { compilerCalls } from './compiler';

const { typescript, keep } = loadTypescript('compiler');
serve(parentPort!, compilerCalls(typescript));
keep();

/** Worker thread of the TypeScript engine that compiles until the checker's thread, which takes longer to start, can. */
import { parentPort } from 'node:worker_threads';
import { compilerCalls } from './compiler';
import { serve } from './thread-client';
import { loadTypescript } from './typescript-load';

const { typescript, keep } = loadTypescript('compiler');
serve(parentPort!, compilerCalls(typescript));
keep();

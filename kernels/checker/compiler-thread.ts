/** Worker thread of the TypeScript engine that compiles until the checker's thread, which takes longer to start, can. */
import { parentPort } from 'node:worker_threads';
import { keepTypescript } from '../cells/load-typescript';
import { serve } from '../process/thread-client';
import { compilerCalls } from './compiler';

serve(parentPort!, compilerCalls);
keepTypescript();

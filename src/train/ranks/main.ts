import '../../early-signals';
import { runProbe } from './probe';
import { runRank } from './rank-process';
import { supervise } from './supervisor';

/**
 * The processes of a run: `node main.js rank|supervise|probe --run DIR`. It does the same as `patchwise rank` and
 * `patchwise supervise` without loading the command line, because a run of four ranks starts five of them.
 */
async function main([program, , runDir]: readonly string[]): Promise<void> {
  const programs = { rank: runRank, probe: runProbe, supervise };
  try {
    await programs[program as keyof typeof programs]({ runDir: runDir! });
  } catch (error) {
    console.error(error);
    process.exitCode = 1;
  }
}

void main(process.argv.slice(2));

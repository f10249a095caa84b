import '../../early-signals';
import { runProbe } from './probe';
import { runRank } from './rank';
import { supervise } from './supervisor';

/**
 * What the supervisor and its ranks are as processes: `node process.js rank|supervise|probe --run DIR`. The same as
 * `patchwise rank` and `patchwise supervise`, without loading what only the command line needs: five of these start
 * for a run of four ranks.
 */
async function main([program, , runDir]: readonly string[]): Promise<void> {
  const start = program === 'rank' ? runRank : program === 'probe' ? runProbe : supervise;
  try {
    await start({ runDir: runDir! });
  } catch (error) {
    console.error(error);
    process.exitCode = 1;
  }
}

void main(process.argv.slice(2));

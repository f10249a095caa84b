import { parseArgs } from 'node:util';
import { killKinds, killRounds } from './kill-rounds';

/** `npm run kill-rounds -- --rounds 20 --seed 1 --kinds rank,disk --json`. Exit code 1 if a round failed or missed. */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '20' },
      seed: { type: 'string', default: '1' },
      kinds: { type: 'string', default: killKinds.join(',') },
      json: { type: 'boolean', default: false },
    },
  });
  const kinds = values.kinds.split(',');
  const [rounds, seed] = [Number(values.rounds), Number(values.seed)];
  if (!(rounds >= 1) || !Number.isInteger(seed) || kinds.some((kind) => !killKinds.includes(kind))) {
    console.error(`--rounds and --seed take whole numbers, --kinds some of ${killKinds.join(',')}`);
    process.exitCode = 2;
    return;
  }
  const report = await killRounds({
    ...{ rounds, seed, kinds },
    onProgress: ({ done, total, what }) => console.error(`${done}/${total} ${what}`),
  });
  if (values.json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  else {
    for (const line of report.skipped) console.log(`skipped ${line}`);
    for (const { kind, restarts, resumes, reasons, seconds, problems, missed } of report.rounds)
      console.log(
        `${problems.length ? 'FAILED' : missed ? 'MISSED' : 'ok'}  ${kind}: ${restarts} restarts, ${resumes} resumes, ` +
          `${seconds.toFixed(1)} s; ${reasons.join('; ') || missed || 'nothing noticed'}${problems.map((problem) => `\n        ${problem}`).join('')}`,
      );
    console.log(`${report.passed} passed, ${report.failed} failed, ${report.missed} missed`);
  }
  if (report.failed + report.missed > 0) process.exitCode = 1;
}

void main();

import { type TrainOptions, train } from '../../src/index';

/** Starts a run, says where it is, and would follow it to its end. */
async function main(options: TrainOptions): Promise<void> {
  const run = await train(options);
  process.stdout.write(`${run.dir}\n`);
  await run.done;
}

void main(JSON.parse(process.argv[2]!) as TrainOptions);

import { type TrainOptions, train } from '../../src/index';

/** Starts a run, prints its folder, and follows it until killed. */
async function main(options: TrainOptions): Promise<void> {
  const run = await train(options);
  process.stdout.write(`${run.dir}\n`);
  await run.done;
}

void main(JSON.parse(process.argv[2]!) as TrainOptions);

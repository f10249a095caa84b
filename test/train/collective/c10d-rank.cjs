// One rank in a process of its own, which a test kills or stops: all-reduces until it cannot any more, says why, and leaves.
const { connectC10d } = require('../../../dist/src/train/collective/c10d/c10d.js');

async function main() {
  const { closes, ...world } = JSON.parse(process.env.WORLD);
  const collective = await connectC10d(world);
  process.send('connected');
  try {
    for (let sums = 0; ; sums++) {
      // It leaves while its sum and those of the others are under way.
      if (closes && sums === 5) {
        collective.allReduce([new Float32Array(200000)], 'gradients').catch(() => {});
        await collective.close('the disk is full');
        break;
      }
      await collective.allReduce([new Float32Array(200000)], 'gradients');
    }
  } catch (error) {
    process.send(error.message);
    await collective.close(error.message);
  }
  process.disconnect();
}

main().catch((error) => process.send(`${error}`));

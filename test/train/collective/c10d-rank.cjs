// One rank in a process of its own, which a test kills: all-reduces until it cannot any more, and says why.
const { connectC10d } = require('../../../dist/src/train/collective/c10d/c10d.js');

async function main() {
  const collective = await connectC10d(JSON.parse(process.env.WORLD));
  process.send('connected');
  try {
    for (;;) await collective.allReduce([new Float32Array(200000)], 'gradients');
  } catch (error) {
    process.send(error.message);
  }
}

main().catch((error) => process.send(`${error}`));

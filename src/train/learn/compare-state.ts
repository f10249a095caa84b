import { CollectiveFailed } from '../../errors';
import type { Collective } from '../collective/collective';
import type { Learner } from './learner';

/**
 * Makes sure that all weights and the codebook are bit-identical on all ranks; if not, the gradients of later steps would be
 * those of different models. @throws CollectiveFailed naming the ranks that differ from rank 0
 */
export async function compareState(learner: Learner, collective: Collective): Promise<void> {
  if (collective.worldSize === 1) return;
  const sums = [...learner.state().model.values()].map(({ data }) => checksum(data));
  const mine = sums.reduce((all, sum) => Math.imul(all ^ sum, 0x01000193) >>> 0, 0x811c9dc5);
  // Half words: a float32 holds 24 bits.
  const all = await collective.allGather(Float32Array.of(mine >>> 16, mine & 0xffff), 'state checksum');
  const differing = all.flatMap((sum, rank) =>
    sum[0] === all[0]![0] && sum[1] === all[0]![1] ? [] : [rank],
  );
  if (differing.length > 0)
    throw new CollectiveFailed(
      collective.rank,
      'comparison of weights and codebook',
      `rank ${differing.join(', ')} differs from rank 0`,
    );
}

/** FNV-1a over the words of the bit patterns. */
function checksum(data: Float32Array): number {
  const words = new Uint32Array(data.buffer, data.byteOffset, data.length);
  let hash = 0x811c9dc5;
  for (let i = 0; i < words.length; i++) hash = Math.imul(hash ^ words[i]!, 0x01000193);
  return hash >>> 0;
}

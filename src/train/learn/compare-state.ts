import { crc32 } from 'node:zlib';
import { CollectiveFailed } from '../../errors';
import type { Collective } from '../collective/collective';
import type { Learner } from './learner';

/**
 * Makes sure that all weights and the codebook are bit-identical on all ranks; if not, the gradients of later steps would be
 * those of different models. @throws CollectiveFailed naming the ranks that differ from rank 0
 */
export async function compareState(learner: Learner, collective: Collective): Promise<void> {
  if (collective.worldSize === 1) return;
  let mine = 0;
  for (const { data } of learner.state().model.values())
    mine = crc32(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), mine);
  // Half words: a float32 holds 24 bits.
  const all = await collective.allGather(Float32Array.of(mine >>> 16, mine & 0xffff), 'state checksum');
  const [high, low] = all[0]!;
  const differing = all.flatMap((sum, rank) => (sum[0] === high && sum[1] === low ? [] : [rank]));
  const told = `rank ${differing.join(', ')} differs from rank 0`;
  if (differing.length > 0)
    throw new CollectiveFailed(collective.rank, 'comparison of weights and codebook', told);
}

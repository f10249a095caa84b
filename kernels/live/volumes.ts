/**
 * Volumes on their way to pages: the target `patchwise.volumes`. The messages are those of
 * `kernels/browser/viewer/messages.ts`.
 */
import type { VolumesOpened } from '../browser/viewer/messages';
import type { Comm } from '../protocol/comms';
import type { Json } from '../protocol/wire';
import type { HeldVolumes } from './held-volumes';

/** Why a page stays with its preview. The page closes the comm. */
const GONE = 'The kernel no longer holds this volume. Run the cell again to see it at full resolution.';

/** Serves one comm of a front end. Loads the library only for a view that is still held. */
export async function openVolumes(comm: Comm, data: Json, held: HeldVolumes): Promise<void> {
  const opened = data as Partial<VolumesOpened>;
  const [id, most, longest] = [String(opened.id), Number(opened.most), Number(opened.longest ?? Infinity)];
  const volumes = () => held.volumesOf(id);
  if (!volumes()) comm.send({ type: 'gone', message: GONE });
  else if (!(most >= 1 && longest >= 1))
    comm.send({ type: 'error', message: `most and longest must be at least 1, not ${most} and ${longest}` });
  else {
    const { VolumePage } = await import('./volume-page.js');
    if (comm.open) new VolumePage(comm, volumes, { most, longest }, GONE).start();
  }
}

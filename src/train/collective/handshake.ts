import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Socket } from 'node:net';
import { afterSeconds } from '../../timer';

/** A rank begins with this and a nonce; browsers, port scans and other programs do not. */
const knockWord = Buffer.from('patchwise-rank-1');
const nonceLength = 32;
const proofLength = 32; // HMAC-SHA256
/** Our own ranks answer within milliseconds, unless their machine is very busy. */
const patience = 30;

/** The other end does not know the run's secret, or does not answer. */
class Stranger extends Error {}

/**
 * Rank 0's half of the handshake. Both ends prove that they know the run's secret before either reads a message of the
 * other: challenge and response by HMAC (RFC 2104), so the secret does not cross the network and a recorded proof is
 * useless. All lengths are fixed, so nothing is parsed and nothing large is kept. Nothing is encrypted.
 * @throws Stranger after it has closed the connection
 */
export function admitRank(socket: Socket, secret: string): Promise<void> {
  return orClose(socket, async () => {
    const knock = await read(socket, knockWord.length + nonceLength);
    if (!knock.subarray(0, knockWord.length).equals(knockWord)) throw new Stranger('it is no rank');
    const theirs = knock.subarray(knockWord.length);
    const ours = randomBytes(nonceLength);
    socket.write(Buffer.concat([ours, proof(secret, 'rank 0', theirs, ours)]));
    check(await read(socket, proofLength), proof(secret, 'rank', theirs, ours));
  });
}

/** The half of any other rank. @throws Stranger, as `admitRank` does */
export function presentTo(socket: Socket, secret: string): Promise<void> {
  return orClose(socket, async () => {
    const ours = randomBytes(nonceLength);
    socket.write(Buffer.concat([knockWord, ours]));
    const answer = await read(socket, nonceLength + proofLength);
    const theirs = answer.subarray(0, nonceLength);
    check(answer.subarray(nonceLength), proof(secret, 'rank 0', ours, theirs));
    socket.write(proof(secret, 'rank', ours, theirs));
  });
}

/** Each role has its own proof, so that nobody can send ours back to us. */
function proof(secret: string, role: string, knocker: Buffer, listener: Buffer): Buffer {
  return createHmac('sha256', secret).update(role).update(knocker).update(listener).digest();
}

function check(given: Buffer, expected: Buffer): void {
  if (!timingSafeEqual(given, expected)) throw new Stranger('it does not know the secret of this run');
}

async function orClose(socket: Socket, handshake: () => Promise<void>): Promise<void> {
  try {
    await handshake();
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** Exactly so many bytes; later ones stay in the socket. */
function read(socket: Socket, length: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const settle = (end: () => void) => {
      endPatience();
      socket.off('readable', take).off('end', gone).off('close', gone).off('error', gone);
      end();
    };
    const take = () => {
      const bytes = socket.read(length) as Buffer | null;
      if (bytes?.length === length) settle(() => resolve(bytes));
      else if (bytes) gone(); // the stream has ended with less
    };
    const gone = () => settle(() => reject(new Stranger('it closed the connection')));
    const endPatience = afterSeconds(patience, () =>
      settle(() => reject(new Stranger(`it said nothing for ${patience} s`))),
    );
    socket.on('readable', take).on('end', gone).on('close', gone).on('error', gone);
    take();
  });
}

import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { FrameChannel } from '../../../src/train/collective/frames';

/** What `receive` throws after these bytes. */
async function failureOf(bytes: Buffer): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as { port: number }).port, '127.0.0.1');
  const [other] = (await once(server, 'connection')) as [Socket];
  const channel = new FrameChannel(other, { take: () => false, lost: () => {} });
  socket.on('error', () => {});
  socket.write(bytes);
  const { message } = await channel.receive().then(
    () => new Error('a frame'),
    (error: Error) => error,
  );
  socket.destroy();
  server.close();
  return message;
}

function framed(text: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length);
  return Buffer.concat([length, Buffer.from(text)]);
}

describe('a frame channel', () => {
  it.each([
    ['a cut object', framed('{"kind":')],
    ['null', framed('null')],
    ['an unknown kind', framed('{"kind":"song","rank":0,"bytes":0}')],
    ['a header that is too long', Buffer.alloc(4, 255)],
  ])('says of %s that it is not a frame', async (_, bytes) => {
    expect(await failureOf(bytes)).toBe('what came is not a frame');
  });

  it('names the size of a frame that has no room in memory', async () => {
    const header = { kind: 'operation', rank: 1, lengths: [2 ** 50], bytes: 2 ** 52 };
    expect(await failureOf(framed(JSON.stringify(header)))).toBe(`no memory for a frame of ${2 ** 52} bytes`);
  });
});

/** TCP ports: finding a free one, and knocking on one. */
import { connect, createServer, type Socket } from 'node:net';

/** A TCP port of this host on which nobody listens. Another program may still take it before we do. */
export function freePort(address = '127.0.0.1'): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, address, () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

/** A connection to the port; undefined if nobody listens there. */
export function knock(address: string, port: number): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, address);
    const end = () => {
      socket.destroy();
      resolve(undefined);
    };
    socket.setTimeout(2000).once('timeout', end).once('error', end);
    socket.once('connect', () => resolve(socket.setTimeout(0).off('timeout', end).off('error', end)));
  });
}

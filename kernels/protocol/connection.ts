/** The connection file: the places of a kernel's five sockets, and the key that signs its messages. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

type Channel = 'shell' | 'iopub' | 'stdin' | 'control' | 'hb';
const CHANNELS: readonly Channel[] = ['shell', 'iopub', 'stdin', 'control', 'hb'];

/** The exit code of a kernel that found one of its ports taken. */
export const ADDRESS_IN_USE = 98;

export interface Connection {
  readonly transport: 'tcp' | 'ipc';
  readonly ip: string;
  readonly key: string;
  readonly ports: Readonly<Record<Channel, number>>;
}

/** Reads and checks a connection file. @throws Error if a field is missing or unknown */
export function readConnection(path: string): Connection {
  const file: unknown = JSON.parse(readFileSync(path, 'utf8'));
  if (typeof file !== 'object' || file === null) throw malformed(path, 'a JSON object', typeof file);
  const fields = file as Record<string, unknown>;
  const scheme = fields.signature_scheme ?? 'hmac-sha256';
  if (scheme !== 'hmac-sha256') {
    throw malformed(path, 'signature_scheme hmac-sha256', scheme);
  }
  const transport = fields.transport ?? 'tcp';
  if (transport !== 'tcp' && transport !== 'ipc') {
    throw malformed(path, 'transport tcp or ipc', transport);
  }
  const port = (channel: Channel): number => {
    const value = fields[`${channel}_port`];
    if (typeof value !== 'number') throw malformed(path, `a number ${channel}_port`, value);
    return value;
  };
  const ports = Object.fromEntries(CHANNELS.map((channel) => [channel, port(channel)]));
  const ip = typeof fields.ip === 'string' ? fields.ip : '127.0.0.1';
  const key = typeof fields.key === 'string' ? fields.key : '';
  return { transport, ip, key, ports: ports as Record<Channel, number> };
}

/** The connection file's JSON, as Jupyter writes it. */
export function connectionFile(connection: Connection): string {
  const ports = Object.fromEntries(CHANNELS.map((channel) => [`${channel}_port`, connection.ports[channel]]));
  const { transport, ip, key } = connection;
  const fields = { ...ports, ip, key, transport, signature_scheme: 'hmac-sha256', kernel_name: 'patchwise' };
  return `${JSON.stringify(fields, null, 2)}\n`;
}

export function addressOf(connection: Connection, channel: Channel): string {
  const { transport, ip, ports } = connection;
  return transport === 'ipc' ? `ipc://${ip}-${ports[channel]}` : `tcp://${ip}:${ports[channel]}`;
}

/** A connection on loopback with five ports that were free a moment ago and a new key. */
export async function freeConnection(): Promise<Connection> {
  const servers = CHANNELS.map(() => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))));
  const byChannel = Object.fromEntries(CHANNELS.map((channel, at) => [channel, ports[at]!]));
  const key = randomBytes(32).toString('hex');
  return { transport: 'tcp', ip: '127.0.0.1', key, ports: byChannel as Record<Channel, number> };
}

// A plain error: no code of ours asks which kind it is.
function malformed(path: string, expected: string, found: unknown): Error {
  return new Error(`${path}: expected ${expected}, found ${String(found)}`);
}

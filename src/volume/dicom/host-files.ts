/** Files of the disk within the file system of an Emscripten program, so that they need not lie in its memory. */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { withPath } from '../../atomic-file';

/** What is used of Emscripten's file system. */
export interface ProgramFiles {
  mkdir(path: string): void;
  mount(type: unknown, options: object, path: string): void;
  createNode(parent: Node | null, name: string, mode: number, device: number): Node;
  readonly ErrnoError: new (number: number) => Error;
}

interface Node {
  readonly id: number;
  mode: number;
  node_ops: object;
  stream_ops: object;
  /** Undefined for the folder itself. */
  own?: HostFile;
}

interface Stream {
  readonly node: Node;
  readonly flags: number;
  position: number;
  file?: number;
}

const [folderMode, fileMode] = [0o040700, 0o100600];
const noSuchFile = 44;
const inputOutputError = 29;
const invalid = 28;
const writing = 3;

/** A file of the disk, or what a program sees of it: bytes that are given, and ranges of the file, one after the other. */
export interface HostFile {
  readonly path: string;
  readonly pieces?: readonly (Uint8Array | readonly [at: number, end: number])[];
}

/** What a program sees: files by name, and a folder for new ones. */
export interface HostFolder {
  readonly files: ReadonlyMap<string, HostFile>;
  /** Where new files are made; without it the folder is read-only. */
  readonly folder?: string;
}

/** Mounts files of the disk at a folder. `onError` gets the first error of the disk, which a program may ignore. */
export function mountHost(
  files: ProgramFiles,
  at: string,
  { files: given, folder }: HostFolder,
  onError: (error: unknown) => void,
): void {
  const hosts = new Map(given);
  /** The result of `work`; if the disk fails, the program gets an error number. `made` is the file that is written. */
  const attempt = <T>(work: () => T, made?: string): T => {
    try {
      return work();
    } catch (error) {
      onError(made === undefined ? error : withPath(error, made));
      throw new files.ErrnoError(inputOutputError);
    }
  };
  const make = (parent: Node, name: string, own: HostFile): Node => {
    const node = files.createNode(parent, name, fileMode, 0);
    node.node_ops = nodeOperations;
    node.stream_ops = streamOperations;
    node.own = own;
    return node;
  };
  const nodeOperations = {
    getattr(node: Node) {
      const size = node.own === undefined ? 4096 : attempt(() => sizeOf(node.own!));
      const time = new Date(0);
      const times = { atime: time, mtime: time, ctime: time };
      return {
        dev: 1,
        ino: node.id,
        mode: node.mode,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        size,
        ...times,
        blksize: 4096,
        blocks: Math.ceil(size / 4096),
      };
    },
    setattr(node: Node, { size }: { size?: number }) {
      if (size !== undefined && node.own !== undefined) attempt(() => fs.truncateSync(node.own!.path, size));
    },
    lookup(parent: Node, name: string): Node {
      const own = hosts.get(name);
      if (own === undefined) throw new files.ErrnoError(noSuchFile);
      return make(parent, name, own);
    },
    mknod(parent: Node, name: string): Node {
      if (folder === undefined) throw new files.ErrnoError(noSuchFile);
      const path = join(folder, name);
      attempt(() => fs.writeFileSync(path, '', { mode: 0o600 }));
      hosts.set(name, { path });
      return make(parent, name, { path });
    },
    readdir: () => ['.', '..', ...hosts.keys()],
    unlink(_parent: Node, name: string) {
      const own = hosts.get(name);
      if (folder !== undefined && own !== undefined) attempt(() => fs.rmSync(own.path));
      hosts.delete(name);
    },
  };
  const streamOperations = {
    open(stream: Stream) {
      const flags = (stream.flags & writing) === 0 ? 'r' : 'r+';
      const { own } = stream.node;
      if (own !== undefined) stream.file = attempt(() => fs.openSync(own.path, flags));
    },
    close(stream: Stream) {
      if (stream.file !== undefined) attempt(() => fs.closeSync(stream.file!));
    },
    read: (stream: Stream, memory: Int8Array, at: number, length: number, position: number) =>
      attempt(() => readHost(stream, memory.subarray(at, at + length), position)),
    write: (stream: Stream, memory: Int8Array, at: number, length: number, position: number) =>
      attempt(() => {
        let done = 0;
        while (done < length)
          done += fs.writeSync(stream.file!, memory, at + done, length - done, position + done);
        return length;
      }, stream.node.own?.path),
    llseek(stream: Stream, offset: number, from: number) {
      const size = () => attempt(() => sizeOf(stream.node.own!));
      const position = offset + (from === 1 ? stream.position : from === 2 ? size() : 0);
      if (position < 0) throw new files.ErrnoError(invalid);
      return position;
    },
  };
  const type = {
    mount() {
      const root = files.createNode(null, '/', folderMode, 0);
      root.node_ops = nodeOperations;
      root.stream_ops = streamOperations;
      return root;
    },
  };
  files.mkdir(at);
  files.mount(type, {}, at);
}

function sizeOf({ path, pieces }: HostFile): number {
  if (!pieces) return fs.statSync(path).size;
  return pieces.reduce((sum, piece) => sum + lengthOf(piece), 0);
}

function lengthOf(piece: Uint8Array | readonly [number, number]): number {
  return piece instanceof Uint8Array ? piece.length : piece[1] - piece[0];
}

/** Reads what a program sees of a file from a position on. Returns the number of bytes. */
function readHost({ node, file }: Stream, target: Int8Array, position: number): number {
  const { pieces } = node.own!;
  if (!pieces) return fs.readSync(file!, target, 0, target.length, position);
  let done = 0;
  let start = 0;
  for (const piece of pieces) {
    const length = lengthOf(piece);
    const from = position + done - start;
    start += length;
    if (from >= length || done === target.length) continue;
    const count = Math.min(length - from, target.length - done);
    if (piece instanceof Uint8Array) target.set(piece.subarray(from, from + count), done);
    else if (fs.readSync(file!, target, done, count, piece[0] + from) < count) break;
    done += count;
  }
  return done;
}

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
  /** On the disk; undefined for the folder itself. */
  path?: string;
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

/** What a program sees: files by name, and a folder for new ones. */
export interface HostFolder {
  readonly files: ReadonlyMap<string, string>;
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
  const paths = new Map(given);
  /** The result of `work`; if the disk fails, the program gets an error number. `made` is the file that is written. */
  const attempt = <T>(work: () => T, made?: string): T => {
    try {
      return work();
    } catch (error) {
      onError(made === undefined ? error : withPath(error, made));
      throw new files.ErrnoError(inputOutputError);
    }
  };
  const make = (parent: Node, name: string, path: string): Node => {
    const node = files.createNode(parent, name, fileMode, 0);
    node.node_ops = nodeOperations;
    node.stream_ops = streamOperations;
    node.path = path;
    return node;
  };
  const nodeOperations = {
    getattr(node: Node) {
      const size = node.path === undefined ? 4096 : attempt(() => fs.statSync(node.path!).size);
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
      if (size !== undefined && node.path !== undefined) attempt(() => fs.truncateSync(node.path!, size));
    },
    lookup(parent: Node, name: string): Node {
      const path = paths.get(name);
      if (path === undefined) throw new files.ErrnoError(noSuchFile);
      return make(parent, name, path);
    },
    mknod(parent: Node, name: string): Node {
      if (folder === undefined) throw new files.ErrnoError(noSuchFile);
      const path = join(folder, name);
      attempt(() => fs.writeFileSync(path, '', { mode: 0o600 }));
      paths.set(name, path);
      return make(parent, name, path);
    },
    readdir: () => ['.', '..', ...paths.keys()],
    unlink(_parent: Node, name: string) {
      const path = paths.get(name);
      if (folder !== undefined && path !== undefined) attempt(() => fs.rmSync(path));
      paths.delete(name);
    },
  };
  const streamOperations = {
    open(stream: Stream) {
      const flags = (stream.flags & writing) === 0 ? 'r' : 'r+';
      if (stream.node.path !== undefined) stream.file = attempt(() => fs.openSync(stream.node.path!, flags));
    },
    close(stream: Stream) {
      if (stream.file !== undefined) attempt(() => fs.closeSync(stream.file!));
    },
    read: (stream: Stream, memory: Int8Array, at: number, length: number, position: number) =>
      attempt(() => fs.readSync(stream.file!, memory, at, length, position)),
    write: (stream: Stream, memory: Int8Array, at: number, length: number, position: number) =>
      attempt(() => {
        let done = 0;
        while (done < length)
          done += fs.writeSync(stream.file!, memory, at + done, length - done, position + done);
        return length;
      }, stream.node.path),
    llseek(stream: Stream, offset: number, from: number) {
      const size = () => attempt(() => fs.fstatSync(stream.file!).size);
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

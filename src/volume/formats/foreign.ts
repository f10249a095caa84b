/** Recognises files that people mistake for volumes, by their first bytes, and names the cure. */
import { isRawName, rawAlone } from './names';

const dicom = 'DICOM, which is read as a folder, or by `npx patchwise convert FOLDER NIFTI_FOLDER`';

const picture = 'a picture or document, not a volume';
const again = 'the download failed; download it again';

/** Bytes (as latin1) at a place in the file, the kind of file they mark, and the cure. */
const marks: readonly (readonly [at: number, mark: string, found: string])[] = [
  [128, 'DICM', dicom],
  // Old DICOM has no preamble and begins with an element of group 8.
  ...['\0', '\x01', '\x05', '\x08', '\x16'].map((element) => [0, `\x08\0${element}\0`, dicom] as const),
  [0, 'version https://git-lfs', 'a pointer of Git LFS; fetch the file itself with `git lfs pull`'],
  [0, '/annex/objects/', 'a pointer of git-annex; fetch the file itself with `datalad get`'],
  [0, '\x28\xb5\x2f\xfd', 'zstd; unpack it with `zstd -d`'],
  [0, 'BZh', 'bzip2; unpack it with `bunzip2`'],
  [0, '\xfd7zXZ\0', 'xz; unpack it with `unxz`'],
  [0, '\x04\x22\x4d\x18', 'lz4; unpack it with `unlz4`'],
  [0, '\x1f\x8b', 'gzip within gzip; unpack it once with `gunzip`'],
  [0, '\x1f\x9d', 'compress; unpack it with `uncompress`'],
  [0, 'PK\x03\x04', 'a zip archive; unpack it with `unzip`'],
  [0, 'Rar!', 'a rar archive; unpack it with `unrar x`'],
  [0, '7z\xbc\xaf', 'a 7z archive; unpack it with `7z x`'],
  [257, 'ustar', 'a tar archive; unpack it with `tar -xf`'],
  [0, '\x89HDF', 'HDF5 (MINC, MATLAB); convert it to NIfTI'],
  [0, 'CDF\x01', 'MINC; convert it to NIfTI with `mnc2nii`'],
  [0, '\x93NUMPY', 'a NumPy array, which has no place in the patient; convert it to NIfTI'],
  [0, 'MATLAB ', 'a MATLAB file; convert it to NIfTI'],
  ...['\x89PNG', '\xff\xd8\xff', 'GIF8', 'II*\0', 'MM\0*', '%PDF'].map((mark) => [0, mark, picture] as const),
];

/** Text that a server sends in place of a file. */
const texts: readonly (readonly [pattern: RegExp, found: string])[] = [
  [/^(?:\xef\xbb\xbf)?\s*<(?:!doctype\s|html|head|body)/i, `a web page; ${again}`],
  [/^(?:\xef\xbb\xbf)?\s*<\?xml/, `XML, often a server's error; ${again}`],
  [/^\s*\{\s*"/, "JSON, often a server's error or a sidecar; give the volume itself"],
];

/** The kind of a file by its first bytes, with the cure; undefined if unknown. */
export function foreignContent(bytes: Uint8Array, path: string): string | undefined {
  if (isRawName(path)) return rawAlone;
  if (bytes.length === 0) return undefined;
  if (bytes.every((byte) => byte === 0)) return 'zeros; its copy or download is not complete';
  const start = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
  const marked = marks.find(([at, mark]) => start.startsWith(mark, at))?.[2];
  return marked ?? texts.find(([pattern]) => pattern.test(start))?.[1];
}

/**
 * Whether a file has the name of a DICOM file: its extension, or none, as scanners and archives give (`IM0001`). DICOMDIR
 * is an index without images.
 */
export function isDicomName(name: string): boolean {
  if (/^dicomdir$/i.test(name)) return false;
  return hasDicomEnding(name) || !/\.[a-z]\w{0,5}$/i.test(name);
}

export function hasDicomEnding(name: string): boolean {
  return /\.(dcm|dicom|ima)$/i.test(name);
}

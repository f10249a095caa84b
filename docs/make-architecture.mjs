// Draws docs/architecture.svg: parts, their rooms, and who imports whom, read from the import lines. npm run docs
// With --check it writes nothing and fails if the picture is not up to date.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const left = { x: 24, y: 24 };
const box = { width: 118, gap: 42, line: 17, head: 26 };

/** `src/train/record/status.ts` is of part `train`, room `record`; files of `src` itself are the ground. */
function placeOf(file) {
  const [top, second, ...rest] = relative(root, file).split(sep);
  if (top !== 'src') return { part: top, room: rest.length > 0 ? second : '' };
  const inFolder = rest.length > 0;
  const own = ['index.ts', 'internal.ts', 'cli.ts'].includes(second) ? second.replace('.ts', '') : 'ground';
  return { part: inFolder ? second : own, room: rest.length > 1 ? rest[0] : '' };
}

function importsOf(file) {
  const text = readFileSync(file, 'utf8');
  const specifiers = text.matchAll(/(?:from|import|import\(|require\()\s*['"](\.[^'"]*)['"]/g);
  return [...specifiers].map(([, specifier]) => `${resolve(dirname(file), specifier)}.ts`);
}

/** Names with the names that they import, reduced to arrows that no longer way replaces. */
function reduce(arrows) {
  const reaches = (from, to) =>
    [...(arrows.get(from) ?? [])].some((next) => next === to || reaches(next, to));
  return new Map(
    [...arrows].map(([from, targets]) => {
      const direct = [...targets].filter(
        (to) => ![...targets].some((other) => other !== to && reaches(other, to)),
      );
      return [from, direct];
    }),
  );
}

/** By name, the length of its longest way down. */
function floors(arrows) {
  const floor = (name, above = []) => {
    const below = [...(arrows.get(name) ?? [])].filter((to) => !above.includes(to));
    return Math.max(0, ...below.map((to) => floor(to, [...above, name]) + 1));
  };
  return new Map([...arrows.keys()].map((name) => [name, floor(name)]));
}

function collect(files, nameOf) {
  const arrows = new Map();
  for (const file of files) {
    const from = nameOf(file);
    if (from === undefined) continue;
    if (!arrows.has(from)) arrows.set(from, new Set());
    for (const target of importsOf(file)) {
      const to = nameOf(target);
      if (files.includes(target) && to !== undefined && to !== from) arrows.get(from).add(to);
    }
  }
  return arrows;
}

const files = ['src', 'kernels'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(root, folder, name)),
);
// Everything imports the ground, and arrows to it would hide the others.
const parts = collect(files, (file) => {
  const { part } = placeOf(file);
  return part === 'ground' ? undefined : part;
});
const columns = [];
for (const [part, floor] of floors(parts)) {
  columns[floor] ??= [];
  columns[floor].push(part);
}

/** The rooms of a part, each after those that it imports. */
function roomsOf(part) {
  const own = files.filter((file) => placeOf(file).part === part);
  const arrows = collect(own, (file) => (placeOf(file).part === part ? placeOf(file).room : undefined));
  const rooms = [...floors(arrows)].sort((a, b) => a[1] - b[1]).map(([room]) => room);
  return rooms.filter((room) => room !== '' && room !== 'simd');
}

const boxes = new Map();
const heights = columns.map((column) => {
  let y = left.y;
  for (const part of column) {
    const rooms = roomsOf(part);
    const height = box.head + rooms.length * box.line + (rooms.length > 0 ? 6 : 0);
    boxes.set(part, {
      rooms,
      x: left.x + columns.indexOf(column) * (box.width + box.gap),
      y,
      height,
    });
    y += height + 22;
  }
  return y;
});
const width = left.x * 2 + columns.length * (box.width + box.gap) - box.gap;
const bottom = Math.max(...heights);
// Columns stand in the middle of the picture's height.
for (const [i, column] of columns.entries())
  for (const part of column) boxes.get(part).y += (bottom - heights[i]) / 2;

const rounded = (value) => Math.round(value);
const arrow = (from, to) => {
  const [a, b] = [boxes.get(to), boxes.get(from)]; // data flows from what is imported to what imports it
  const [x1, y1, x2, y2] = [a.x + box.width, a.y + 20, b.x - 5, b.y + 20].map(rounded);
  const bend = rounded((x2 - x1) / 2);
  return `<path class="arrow" d="M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}"/>`;
};
const draw = ([part, { x, y, height, rooms }]) =>
  [
    `<g transform="translate(${rounded(x)} ${rounded(y)})">`,
    `<rect class="part" width="${box.width}" height="${height}" rx="6"/>`,
    `<text class="name" x="10" y="18">${part}</text>`,
    ...rooms.map((room, i) => `<text x="18" y="${box.head + 12 + i * box.line}">${room}</text>`),
    '</g>',
  ].join('');

const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${bottom + 46}" width="${width}" height="${bottom + 46}" font-family="system-ui, sans-serif" font-size="12">
<title>Parts of Patchwise, their rooms, and the way of the data</title>
<style>
svg { background: #fff; color: #222 }
text { fill: #222 } .name { font-size: 14px; font-weight: 600 }
.part { fill: #f4f6f8; stroke: #8a97a3 } .arrow { fill: none; stroke: #8a97a3; marker-end: url(#head) } #head path { fill: #8a97a3 }
@media (prefers-color-scheme: dark) {
svg { background: #111 } text { fill: #eee } .part { fill: #1d2329 }
}
</style>
<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>
${[...reduce(parts)].flatMap(([from, targets]) => targets.map((to) => arrow(from, to))).join('\n')}
${[...boxes].map(draw).join('\n')}
<g transform="translate(${left.x} ${rounded(bottom)})"><rect class="part" width="${width - 2 * left.x}" height="28" rx="6"/><text x="10" y="18"><tspan class="name">ground</tspan> the files of src itself: errors, random numbers, files, processes. Every part may import them.</text></g>
</svg>
`;
const path = join(root, 'docs/architecture.svg');
if (process.argv.includes('--check')) {
  if (readFileSync(path, 'utf8') !== svg) throw new Error('docs/architecture.svg is old; run `npm run docs`');
} else {
  writeFileSync(path, svg);
  console.log(`wrote docs/architecture.svg: ${boxes.size} parts`);
}

import { number } from '../svg/elements';
import { type Node, numberOf } from './tree';

/** Most pixels that lie empty between two things, one above the other, and above the first. */
const MOST_BETWEEN = 26;
const MARGIN = 6;

type Reach = readonly [top: number, bottom: number];

interface Band {
  top: number;
  bottom: number;
  readonly nodes: Node[];
}

/**
 * Moves the parts of a picture up where sliders, buttons or a narrow sheet leave empty space between them. Returns the
 * parts and the height that they need.
 */
export function closeGaps(nodes: readonly Node[], fontSize: number): { nodes: Node[]; height: number } {
  let bottom = 0;
  let raised = 0;
  const groups = bandsOf(nodes, fontSize).map((band, i) => {
    raised += Math.max(0, band.top - bottom - (i === 0 ? MARGIN : MOST_BETWEEN));
    bottom = band.bottom;
    return raised === 0 ? band.nodes : [shifted(band.nodes, -raised)];
  });
  return { nodes: groups.flat(), height: Math.ceil(bottom - raised + MARGIN) };
}

/** The nodes in bands from the top, each a stretch without an empty line; within a band they keep their order. */
function bandsOf(nodes: readonly Node[], fontSize: number): Band[] {
  const placed = nodes.flatMap((node, order) => {
    const reach = reachOf(node, fontSize);
    return reach ? [{ node, order, reach }] : [];
  });
  const bands: Band[] = [];
  const bandOf = new Map<Node, Band>();
  for (const { node, reach } of placed.sort((a, b) => a.reach[0] - b.reach[0])) {
    const [top, bottom] = reach;
    if (!(top <= (bands.at(-1)?.bottom ?? Number.NaN))) bands.push({ top, bottom, nodes: [] });
    const band = bands.at(-1)!;
    band.bottom = Math.max(band.bottom, bottom);
    bandOf.set(node, band);
  }
  for (const { node } of placed.sort((a, b) => a.order - b.order)) bandOf.get(node)!.nodes.push(node);
  return bands;
}

function shifted(children: readonly Node[], dy: number): Node {
  return { name: 'g', attributes: { transform: `translate(0 ${number(dy)})` }, children, text: '' };
}

/** From where to where a node reaches downwards; undefined if it shows nothing. */
function reachOf(node: Node, inherited: number): Reach | undefined {
  const at = (name: string): number => numberOf(node, name);
  switch (node.name) {
    case 'line':
      return [Math.min(at('y1'), at('y2')), Math.max(at('y1'), at('y2'))];
    case 'rect':
    case 'image':
      return [at('y'), at('y') + at('height')];
    case 'circle':
      return [at('cy') - at('r'), at('cy') + at('r')];
    case 'path':
      return span([...(node.attributes.d ?? '').matchAll(/[-\d.]+[ ,]([-\d.]+)/g)].map(([, y]) => Number(y)));
    case 'text': {
      const size = numberOf(node, 'font-size', inherited);
      const isTurned = node.attributes.transform?.includes('rotate') ?? false;
      const half = (node.text.length * size) / 4;
      return isTurned ? [at('y') - half, at('y') + half] : [at('y') - 0.8 * size, at('y') + 0.25 * size];
    }
    default:
      return span(node.children.flatMap((child) => reachOf(child, inherited) ?? []));
  }
}

function span(values: readonly number[]): Reach | undefined {
  const [top, bottom] = values.reduce(
    ([low, high], value) => [Math.min(low, value), Math.max(high, value)] as const,
    [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY] as const,
  );
  return top <= bottom ? [top, bottom] : undefined;
}

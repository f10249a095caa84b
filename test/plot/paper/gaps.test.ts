import { describe, expect, it } from 'vitest';
import { closeGaps } from '../../../src/plot/paper/gaps';
import { type Node, readSvg, writeSvg } from '../../../src/plot/paper/tree';

const read = (svg: string): readonly Node[] => readSvg(`<svg>${svg}</svg>`).children;

describe('closeGaps', () => {
  it('moves up what lies below an empty stretch, and keeps what is near', () => {
    const parts = read(
      '<rect y="100" height="50"/><circle cy="160" r="4"/><line y1="300" y2="310"/><text y="340">a</text>',
    );
    const { nodes, height } = closeGaps(parts, 10);
    expect(nodes.map(writeSvg)).toEqual([
      '<g transform="translate(0 -94)"><rect y="100" height="50"/></g>',
      '<g transform="translate(0 -94)"><circle cy="160" r="4"/></g>',
      // 26 pixels below the circle's end at 164.
      '<g transform="translate(0 -204)"><line y1="300" y2="310"/></g>',
      '<g transform="translate(0 -204)"><text y="340">a</text></g>',
    ]);
    expect(height).toBe(Math.ceil(340 + 2.5 - 204 + 6));
  });

  it('leaves the order of what overlaps', () => {
    const parts = read('<rect y="50" height="50"/><path d="M0 10L5 60"/><image y="0" height="55"/>');
    expect(closeGaps(parts, 10).nodes.map(({ name }) => name)).toEqual(['rect', 'path', 'image']);
  });

  it('reads how far a group and a turned text reach', () => {
    const parts = read(
      '<text y="100" font-size="10" transform="rotate(-90 0 100)">twelve chars</text><g><rect y="140" height="5"/></g>',
    );
    const { nodes, height } = closeGaps(parts, 10);
    // The text is some 60 pixels long: it reaches from 70 to 130.
    expect(nodes.map(({ attributes }) => attributes.transform)).toEqual([
      'translate(0 -64)',
      'translate(0 -64)',
    ]);
    expect(height).toBe(145 - 64 + 6);
  });
});

describe('readSvg', () => {
  it('is the inverse of writeSvg, with marks and letters of any kind', () => {
    const svg = '<svg a="1 &#38; &#34;2&#34;"><g><text x="1">&#60;β&#62; &#38;#38;</text><rect/></g></svg>';
    const root = readSvg(svg);
    expect(root.attributes.a).toBe('1 & "2"');
    expect(root.children[0]!.children[0]!.text).toBe('<β> &#38;');
    expect(writeSvg(root)).toBe(svg);
  });
});

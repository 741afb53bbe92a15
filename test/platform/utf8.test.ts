import fc from 'fast-check';
import { expect, it } from 'vitest';
import { utf8Characters } from '../../src/platform/utf8.ts';

it('makes a character of each byte, which written as latin1 is the text in UTF-8', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const characters = utf8Characters(text);
      expect(characters).toHaveLength(Buffer.byteLength(text));
      expect(Buffer.from(characters, 'latin1')).toEqual(Buffer.from(text));
    }),
  );
});

it('leaves a text alone that is ASCII', () => {
  expect(utf8Characters('{"n":1}')).toBe('{"n":1}');
  expect(utf8Characters('ä€')).toBe('Ã¤â\u0082¬');
});

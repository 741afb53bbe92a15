import fc from 'fast-check';
import { expect, it } from 'vitest';
import { decodeClarity } from '../../src/inbox/clarity.ts';
import { MalformedDelivery } from '../../src/inbox/errors.ts';
import { parseExactly, printValue, readRecord } from '../../src/inbox/value.ts';
import { type Clarity, clarityHex, plain } from '../support/clarity.ts';

const name = fc.stringMatching(/^[a-z][a-z-]{0,12}$/);
const { value } = fc.letrec<{ value: Clarity; leaf: Clarity }>((tie) => ({
  leaf: fc.oneof(
    fc.bigInt(-(2n ** 127n), 2n ** 127n - 1n).map((int) => ({ int })),
    fc.bigInt(0n, 2n ** 128n - 1n).map((uint) => ({ uint })),
    fc.uint8Array({ maxLength: 40 }).map((bytes) => ({ buffer: Buffer.from(bytes).toString('hex') })),
    fc.boolean().map((bool) => ({ bool })),
    fc.constant({ none: true } as const),
    fc.string({ unit: 'grapheme-ascii', maxLength: 30 }).map((ascii) => ({ ascii })),
    fc.string({ unit: 'grapheme', maxLength: 30 }).map((utf8) => ({ utf8 })),
  ),
  value: fc.oneof(
    { depthSize: 'small' },
    tie('leaf'),
    tie('value').map((ok) => ({ ok })),
    tie('value').map((err) => ({ err })),
    tie('value').map((some) => ({ some })),
    fc.array(tie('value'), { maxLength: 4 }).map((list) => ({ list })),
    fc.dictionary(name, tie('value'), { maxKeys: 5 }).map((tuple) => ({ tuple: { ...tuple } })),
  ),
}));

it('decodes every value that can be serialized, exactly', () => {
  fc.assert(
    fc.property(value, (each) => {
      expect(decodeClarity(clarityHex(each))).toEqual(plain(each));
    }),
  );
});

it('decodes nothing else: what is cut off or has something behind it is malformed', () => {
  fc.assert(
    fc.property(value, fc.nat(), (each, cut) => {
      const hex = clarityHex(each);
      const shorter = hex.slice(0, 2 + (cut % (hex.length - 2)));
      expect(() => decodeClarity(shorter)).toThrow(MalformedDelivery);
      expect(() => decodeClarity(`${hex}00`)).toThrow(MalformedDelivery);
    }),
  );
  expect(() => decodeClarity('0xzz')).toThrow(MalformedDelivery);
  expect(() => decodeClarity('0x0f')).toThrow(MalformedDelivery);
  expect(() => decodeClarity(`0x${'0a'.repeat(1_000)}09`)).toThrow(MalformedDelivery);
  expect(() => decodeClarity(`0x0520${'00'.repeat(20)}`)).toThrow(MalformedDelivery);
  expect(() => decodeClarity('0x0bffffffff03')).toThrow(MalformedDelivery);
});

it('writes principals as Stacks does', () => {
  const hash = 'a46ff88886c2ef9762d970b4d2c63678835bd39d';
  const address = (version: number, bytes: string, contract?: string) =>
    decodeClarity(clarityHex({ principal: { version, hash: bytes, ...(contract && { contract }) } }));
  expect(address(22, hash)).toBe('SP2J6ZY48GV1EZ5V2V5RB9MP66SW86PYKKNRV9EJ7');
  expect(address(26, hash)).toBe('ST2J6ZY48GV1EZ5V2V5RB9MP66SW86PYKKQYAC0RQ');
  expect(address(31, hash)).toBe('SZ2J6ZY48GV1EZ5V2V5RB9MP66SW86PYKKQ9H6DPR');
  expect(address(22, hash, 'bitpay-core')).toBe('SP2J6ZY48GV1EZ5V2V5RB9MP66SW86PYKKNRV9EJ7.bitpay-core');
  expect(address(22, '00'.repeat(20))).toBe('SP000000000000000000002Q6VF78');
  expect(address(22, '142a7f9b4d4c7d2fdbe69c0b6733a484f37bbc3b')).toBe(
    'SPA2MZWV9N67TBYVWTE0PSSKMJ2F6YXW7CBE6YPW',
  );
});

it('keeps what was printed as text, to the last digit, the same for the same value', () => {
  fc.assert(
    fc.property(fc.dictionary(name, value), (tuple) => {
      const record = readRecord(printValue(decodeClarity(clarityHex({ tuple: { ...tuple } }))));
      expect(record).toEqual(plain({ tuple: { ...tuple } }));
      const reordered = Object.fromEntries(Object.entries(record).reverse());
      expect(printValue(reordered)).toBe(printValue(record));
    }),
  );
});

it('reads JSON with numbers of any length, and takes no string for one', () => {
  const text = `{"a": 12345678901234567890123456789, "b": [-98765432109876543210, 1.5, 1234567890123456789012.5e9, 1e3, 7],
    "c": "12345678901234567890123", "d\\"": "\\\\", "e": {"12345678901234567890": null, "f": true}}`;
  const { json, toValue } = parseExactly(text);
  expect(toValue(json)).toEqual({
    a: 12345678901234567890123456789n,
    b: [-98765432109876543210n, '1.5', 1234567890123456849145940148224n, 1000n, 7n],
    c: '12345678901234567890123',
    'd"': '\\',
    e: { '12345678901234567890': null, f: true },
  });
  const deep = parseExactly(`${'['.repeat(100)}${']'.repeat(100)}`);
  expect(() => deep.toValue(deep.json)).toThrow(MalformedDelivery);
});

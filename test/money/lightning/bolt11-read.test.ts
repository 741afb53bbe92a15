import fc from 'fast-check';
import { expect, it } from 'vitest';
import { encodeBolt11, signBolt11 } from '../../../src/money/lightning/bolt11.ts';
import { readBolt11 } from '../../../src/money/lightning/bolt11-read.ts';

const key = Buffer.alloc(32, 1);
const request = {
  network: 'regtest',
  amountSats: 21n,
  paymentHash: Buffer.alloc(32, 2),
  paymentSecret: Buffer.alloc(32, 3),
  description: 'Read me',
  timestamp: 1_700_000_000,
  expirySeconds: 600,
  minFinalCltvExpiry: 18,
} as const;

// From the examples of BOLT 11: a donation of any amount, and 2500 micro-bitcoin within a minute.
const donation =
  'lnbc1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdpl2pkx2ctnv5sxxmmwwd5kgetjypeh2ursdae8g6twvus8g6rfwvs8qun0dfjkxaq9qrsgq357wnc5r2ueh7ck6q93dj32dlqnls087fxdwk8qakdyafkq3yap9us6v52vjjsrvywa6rt52cm9r9zqt8r2t7mlcwspyetp5h2tztugp9lfyql';
const coffee =
  'lnbc2500u1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5xysxxatsyp3k7enxv4jsxqzpu9qrsgquk0rl77nj30yxdy8j9vdx85fkpmdla2087ne0xh8nhedh8w27kyke0lp53ut353s06fv3qfegext0eh0ymjpf39tuven09sam30g4vgpfna3rh';

it('reads what was written, in either case and with or without its scheme', () => {
  fc.assert(
    fc.property(
      fc.bigInt(1n, 2_100_000_000_000_000n),
      fc.constantFrom('bitcoin', 'testnet', 'signet', 'regtest'),
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.integer({ min: 1, max: 31_536_000 }),
      (amountSats, network, paymentHash, expirySeconds) => {
        const bolt11 = encodeBolt11({ ...request, amountSats, network, paymentHash, expirySeconds }, key);
        const expected = {
          bolt11,
          network: { bitcoin: 'bc', testnet: 'tb', signet: 'tbs', regtest: 'bcrt' }[network],
          paymentHash: Buffer.from(paymentHash).toString('hex'),
          amountMsats: amountSats * 1_000n,
          expiresAt: new Date((request.timestamp + expirySeconds) * 1_000),
        };
        for (const text of [bolt11, bolt11.toUpperCase(), `lightning:${bolt11}`, ` ${bolt11}\n`])
          expect(readBolt11(text)).toEqual(expected);
      },
    ),
    { numRuns: 50 },
  );
});

it('reads the examples of BOLT 11', () => {
  const paymentHash = '0001020304050607080900010203040506070809000102030405060708090102';
  expect(readBolt11(donation)).toMatchObject({
    network: 'bc',
    paymentHash,
    amountMsats: undefined,
    expiresAt: new Date((1_496_314_658 + 3_600) * 1_000),
  });
  expect(readBolt11(coffee)).toMatchObject({
    paymentHash,
    amountMsats: 250_000_000n,
    expiresAt: new Date((1_496_314_658 + 60) * 1_000),
  });
});

it('reads nothing of what is none, and never throws', () => {
  const bolt11 = encodeBolt11(request, key);
  for (const text of ['', 'lnbc', 'lnbcrt1', donation.slice(0, -1), `${bolt11}q`, 'x'.repeat(5_000)])
    expect(readBolt11(text)).toBeUndefined();
  fc.assert(
    fc.property(
      fc.nat(bolt11.length - 1),
      fc.constantFrom(...'qpzry9x8gf2tvdw0s3jn54khce6mua7l'),
      (at, letter) => {
        const changed = `${bolt11.slice(0, at)}${letter}${bolt11.slice(at + 1)}`;
        if (changed !== bolt11) expect(readBolt11(changed)).toBeUndefined();
      },
    ),
  );
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(readBolt11(`lnbc${text}`)).toBeUndefined();
    }),
  );
});

it('reads nothing that says its payment hash or its end twice: the node that pays could read the other', () => {
  const timestamp = [0, 0, 1, 18, 21, 7, 0];
  const hash = (word: number) => [1, 1, 20, ...Array<number>(52).fill(word).with(51, 0)];
  const expiry = (word: number) => [6, 0, 1, word];
  const signed = (...words: number[][]) => signBolt11('lnbcrt10n', [...timestamp, ...words.flat()], key);
  expect(readBolt11(signed(hash(1), expiry(1)))).toBeDefined();
  expect(readBolt11(signed(hash(1), hash(2)))).toBeUndefined();
  expect(readBolt11(signed(hash(1), expiry(1), expiry(2)))).toBeUndefined();
  expect(readBolt11(signed(expiry(1)))).toBeUndefined();
});

import { describe, expect, it } from 'vitest';
import { readDelivery } from '../../src/inbox/chainhook.ts';
import { MalformedDelivery } from '../../src/inbox/errors.ts';
import { contract, otherContract } from '../support/chainhook.ts';
import { clarityHex } from '../support/clarity.ts';

const read = (json: object | string) =>
  readDelivery(
    'streams',
    Buffer.from(typeof json === 'string' ? json : JSON.stringify(json)),
    new Set([contract]),
  );

const place = {
  block_identifier: { index: 34_307, hash: '0xAB' },
  parent_block_identifier: { index: 34_306, hash: '0xaa' },
  timestamp: 1_634_625_398,
};

/** A block of version 1 with these events in its one transaction, as the facts say one looks. */
const v1 = (
  events: unknown[],
  metadata: unknown = { bitcoin_anchor_block_identifier: { index: 705_648, hash: '0x0' } },
) => ({
  apply: [
    {
      ...place,
      transactions: [
        {
          transaction_identifier: { hash: '0x01' },
          operations: [],
          metadata: {
            success: true,
            result: '(ok u1)',
            receipt: { events },
            position: { index: 16 },
            sponsor: null,
          },
        },
      ],
      metadata,
    },
  ],
  events: [],
});
const printed = (value: object, more: object = { position: { index: 0 } }) => ({
  type: 'SmartContractEvent',
  data: { contract_identifier: contract, topic: 'print', ...value },
  ...more,
});

/** An operation of version 2, and a block with it. */
const logged = (value: unknown, topic = 'print') => ({
  type: 'contract_log',
  status: 'success',
  operation_identifier: { index: 3 },
  metadata: { contract_identifier: contract, topic, value },
});
const v2 = (operations: unknown[], metadata?: unknown) => ({
  event: {
    apply: [
      {
        ...place,
        transactions: [
          {
            metadata: {
              type: 'contract_call',
              status: 'success',
              position: { index: 0, microblock_identifier: null },
            },
            operations,
            transaction_identifier: { hash: '0x01' },
          },
        ],
        ...(metadata !== undefined && { metadata }),
      },
    ],
    rollback: [],
    chain: 'stacks',
    network: 'mainnet',
  },
  chainhook: { name: 'prints', uuid: 'u' },
});
const hex = clarityHex({ tuple: { event: { ascii: 'made' }, 'stream-id': { uint: 1n } } });

describe('version 1', () => {
  it('is read from a recorded form', () => {
    const { apply, rollback } = read(v1([printed({ value: { event: 'made', 'stream-id': 1 } })]));
    expect(rollback).toEqual([]);
    expect(apply).toEqual([
      {
        hash: '0xab',
        height: 34_307,
        parent: '0xaa',
        bitcoinHeight: 705_648,
        events: [
          {
            hook: 'streams',
            blockHash: '0xab',
            height: 34_307,
            timestamp: 1_634_625_398,
            contract,
            txHash: '0x01',
            txIndex: 16,
            eventIndex: 0,
            name: 'made',
            value: { event: 'made', 'stream-id': 1n },
          },
        ],
      },
    ]);
  });

  it('counts events by their place where they have no position, and leaves out what is no print of ours', () => {
    const { apply } = read(
      v1(
        [
          { type: 'STXTransferEvent', data: null },
          printed({ raw_value: hex, topic: 'other' }),
          printed({}),
          printed({ value: ['no', 'tuple'] }),
          printed({ value: { event: 5 } }),
          printed({ value: { event: 'made' }, contract_identifier: otherContract }),
          printed({ raw_value: hex }, {}),
        ],
        null,
      ),
    );
    expect(apply[0]?.events).toMatchObject([{ eventIndex: 6, value: { event: 'made', 'stream-id': 1n } }]);
    expect(apply[0]?.bitcoinHeight).toBeUndefined();
  });
});

describe('version 2', () => {
  it('is read from its operations, whose value is hex by itself or with its form in words', () => {
    const delivery = v2(
      [
        logged({ hex, repr: '(tuple …)' }),
        logged(hex, 'other'),
        { ...logged(hex), type: 'fee' },
        logged(hex),
      ],
      { burn_block_identifier: { index: 9, hash: '0x0' } },
    );
    const [block] = read(delivery).apply;
    expect(block?.bitcoinHeight).toBe(9);
    expect(block?.events).toMatchObject([{ name: 'made' }, { name: 'made' }]);
    expect(read(v2([])).apply[0]).toMatchObject({ events: [], bitcoinHeight: undefined });
  });
});

it.each([
  ['nothing of a delivery', {}],
  ['a block without a hash', { apply: [{ ...place, block_identifier: { index: 1 } }] }],
  [
    'a hash that is none',
    { rollback: [{ ...place, transactions: [], parent_block_identifier: { index: 1, hash: 'x' } }] },
  ],
  [
    'a height below zero',
    { apply: [{ ...place, transactions: [], block_identifier: { index: -1, hash: '0x1' } }] },
  ],
  ['an event without a contract', v1([printed({ contract_identifier: 5 })])],
  ['an event of version 2 without a value', v2([logged(undefined)])],
  ['no JSON', '{"apply": [}'],
])('is malformed with %s', (_what, delivery) => {
  expect(() => read(delivery)).toThrow(MalformedDelivery);
});

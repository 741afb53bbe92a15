import { createHash } from 'node:crypto';
import type { TestApp } from './app.ts';
import { type Clarity, clarityHex } from './clarity.ts';

/** The contract that prints in tests, and another one whose prints do not count. */
export const contract = 'SP2J6ZY48GV1EZ5V2V5RB9MP66SW86PYKKNRV9EJ7.bitpay-core';
export const otherContract = 'SP2J6ZY48GV1EZ5V2V5RB9MP66SW86PYKKNRV9EJ7.stranger';

/** The environment of a server that Chainhook delivers to. */
export const chainhookEnv = {
  CHAINHOOK_SECRET: 'what chainhook presents here',
  CHAINHOOK_CONTRACTS: contract,
} as const;

/** What a contract prints: whole numbers as bigint, the rest as text, booleans, or null for none. */
export interface Print {
  readonly event: string;
  readonly [name: string]: bigint | string | boolean | null;
}

/** A transaction with its prints; a failed one is delivered too. */
export interface Tx {
  readonly hash: string;
  readonly prints: readonly Print[];
  readonly failed?: boolean;
  /** Who prints, where it is not `contract`. */
  readonly contract?: string;
}

export interface TestBlock {
  readonly hash: string;
  readonly height: number;
  readonly parent: string;
  readonly txs: readonly Tx[];
}

export interface TestDelivery {
  readonly rollback: readonly TestBlock[];
  readonly apply: readonly TestBlock[];
}

const hashOf = (text: string) => `0x${createHash('sha256').update(text).digest('hex')}`;
let made = 0;

/** A transaction of one contract call, that prints these. */
export function transaction(...prints: readonly Print[]): Tx {
  made += 1;
  return { hash: hashOf(`tx ${made}`), prints };
}

/** A block upon another one. */
export function blockOn(parent: Pick<TestBlock, 'hash' | 'height'>, ...txs: readonly Tx[]): TestBlock {
  made += 1;
  return { hash: hashOf(`block ${made}`), height: parent.height + 1, parent: parent.hash, txs };
}

/** Where a simulated chain begins. */
export const genesis = (height = 100) => ({ hash: hashOf(`genesis ${height}`), height });

/** Deliveries that apply blocks, or put some in the place of others. */
export const applied = (...apply: readonly TestBlock[]): TestDelivery => ({ rollback: [], apply });
export const reorganised = (rollback: readonly TestBlock[], apply: readonly TestBlock[]): TestDelivery => ({
  rollback,
  apply,
});

/** A whole number stands there as it is, however long. */
const json = (value: unknown): string => {
  if (typeof value === 'bigint') return value.toString();
  if (Array.isArray(value)) return `[${value.map(json).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  return `{${Object.entries(value)
    .filter(([, item]) => item !== undefined)
    .map(([name, item]) => `${JSON.stringify(name)}:${json(item)}`)
    .join(',')}}`;
};

const clarityOf = (value: bigint | string | boolean | null): Clarity => {
  if (typeof value === 'bigint') return value < 0n ? { int: value } : { uint: value };
  if (typeof value === 'boolean') return { bool: value };
  return value === null ? { none: true } : { ascii: value };
};

const printHex = (print: Print) =>
  clarityHex({
    tuple: Object.fromEntries(Object.entries(print).map(([name, value]) => [name, clarityOf(value)])),
  });

/** The forms that Chainhook delivers in: version 1 with decoded and with raw values, and version 2. */
export const forms = ['v1', 'v1-raw', 'v2'] as const;
export type Form = (typeof forms)[number];

const blockJson = (block: TestBlock, transactions: unknown[], anchor: string) => ({
  block_identifier: { index: block.height, hash: block.hash },
  parent_block_identifier: { index: block.height - 1, hash: block.parent },
  timestamp: 1_700_000_000 + block.height * 10,
  transactions,
  metadata: { [anchor]: { index: 800_000 + block.height, hash: hashOf(`bitcoin ${block.height}`) } },
});

function v1Tx(tx: Tx, index: number, isRaw: boolean) {
  const events = tx.prints.map((print, position) => ({
    type: 'SmartContractEvent',
    position: { index: position * 2 + 1 },
    data: {
      contract_identifier: tx.contract ?? contract,
      topic: 'print',
      ...(isRaw ? { raw_value: printHex(print) } : { value: print }),
    },
  }));
  const transfer = {
    type: 'FTTransferEvent',
    position: { index: 0 },
    data: { amount: '5', asset_identifier: `${otherContract}::sbtc`, sender: 'SP1', recipient: 'SP2' },
  };
  return {
    transaction_identifier: { hash: tx.hash },
    operations: [],
    metadata: {
      success: tx.failed !== true,
      raw_tx: '0x00',
      result: '(ok u1)',
      receipt: { mutated_contracts_radius: [], events: [transfer, ...events] },
      position: { index },
    },
  };
}

function v2Tx(tx: Tx, index: number) {
  return {
    transaction_identifier: { hash: tx.hash },
    metadata: {
      type: 'contract_call',
      status: tx.failed ? 'abort_by_response' : 'success',
      result: { hex: '0x0703', repr: '(ok true)' },
      position: { index, microblock_identifier: null },
    },
    operations: [
      { type: 'fee', operation_identifier: { index: 0 }, status: 'success', metadata: {} },
      ...tx.prints.map((print, position) => ({
        type: 'contract_log',
        status: 'success',
        operation_identifier: { index: position * 2 + 1 },
        metadata: {
          contract_identifier: tx.contract ?? contract,
          topic: 'print',
          value: { hex: printHex(print), repr: '(tuple …)' },
        },
      })),
    ],
  };
}

/** The body of a delivery, as Chainhook posts it. */
export function bodyOf({ rollback, apply }: TestDelivery, form: Form = 'v1'): string {
  const block =
    form === 'v2'
      ? (each: TestBlock) => blockJson(each, each.txs.map(v2Tx), 'burn_block_identifier')
      : (each: TestBlock) =>
          blockJson(
            each,
            each.txs.map((tx, index) => v1Tx(tx, index, form === 'v1-raw')),
            'bitcoin_anchor_block_identifier',
          );
  const blocks = { apply: apply.map(block), rollback: rollback.map(block) };
  return json(
    form === 'v2'
      ? {
          event: { ...blocks, chain: 'stacks', network: 'mainnet' },
          chainhook: { name: 'prints', uuid: 'u' },
        }
      : {
          ...blocks,
          events: [],
          chainhook: {
            uuid: 'u',
            predicate: { scope: 'print_event', contract_identifier: contract, contains: '' },
            is_streaming_blocks: true,
          },
        },
  );
}

/** Posts a body as Chainhook does; answers the status. */
export async function postChain(
  app: Pick<TestApp, 'url'>,
  hook: string,
  body: string | Uint8Array<ArrayBuffer>,
  secret: string = chainhookEnv.CHAINHOOK_SECRET,
): Promise<number> {
  const response = await fetch(new URL(`/webhooks/chainhook/${hook}`, app.url), {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${secret}` },
    body,
  });
  await response.arrayBuffer();
  return response.status;
}

/** Delivers, and fails unless it is taken. */
export async function deliver(
  app: Pick<TestApp, 'url'>,
  hook: string,
  delivery: TestDelivery,
  form: Form = 'v1',
): Promise<void> {
  const status = await postChain(app, hook, bodyOf(delivery, form));
  if (status !== 200) throw new Error(`The delivery was answered ${status}.`);
}

import { z } from 'zod';
import { decodeClarity } from './clarity.ts';
import { malformed } from './errors.ts';
import { type ChainRecord, type ChainValue, type ExactJson, isRecord, parseExactly } from './value.ts';

/** The hooks: each has a path, a predicate of its own, and a mirror. */
export const hooks = ['streams', 'marketplace', 'treasury'] as const;
export type Hook = (typeof hooks)[number];

/** What a contract has printed in a transaction that succeeded: a tuple with a key `event`, which names it. */
export interface ChainEvent {
  readonly hook: Hook;
  /** The principal of the contract that has printed it. */
  readonly contract: string;
  readonly txHash: string;
  readonly txIndex: number;
  readonly eventIndex: number;
  readonly blockHash: string;
  readonly height: number;
  /** When the block was made; seconds since 1970. */
  readonly timestamp: number;
  readonly name: string;
  /** All of the tuple, `event` too. */
  readonly value: ChainRecord;
}

/** A block as a delivery tells of it. */
export interface DeliveredBlock {
  readonly hash: string;
  readonly height: number;
  readonly parent: string;
  /** The height of the Bitcoin block that it is anchored in, where that is told. */
  readonly bitcoinHeight: number | undefined;
  readonly events: readonly ChainEvent[];
}

export interface ChainDelivery {
  readonly rollback: readonly DeliveredBlock[];
  readonly apply: readonly DeliveredBlock[];
}

const index = z.int().min(0);
const hash = z
  .string()
  .regex(/^(0x)?[\da-f]{1,128}$/i)
  .transform((text) => `0x${text.toLowerCase().replace(/^0x/, '')}`);
const identifier = z.object({ index, hash });

const blockOf = <Tx extends z.ZodType, Metadata extends z.ZodType>(transaction: Tx, metadata: Metadata) =>
  z.object({
    block_identifier: identifier,
    parent_block_identifier: identifier,
    timestamp: z.int(),
    transactions: z.array(transaction),
    metadata: metadata.nullish(),
  });

const anchor = z.object({ index }).nullish().catch(undefined);

/** Chainhook 1: receipts with all events of the transactions that matched. */
const blockV1 = blockOf(
  z.object({
    transaction_identifier: z.object({ hash }),
    metadata: z.object({
      success: z.boolean(),
      position: z.object({ index }),
      receipt: z.object({
        events: z.array(
          z.object({
            type: z.string(),
            position: z.object({ index }).nullish(),
            data: z.unknown().optional(),
          }),
        ),
      }),
    }),
  }),
  z.object({ bitcoin_anchor_block_identifier: anchor }),
);

/** Chainhook 2: operations. */
const blockV2 = blockOf(
  z.object({
    transaction_identifier: z.object({ hash }),
    metadata: z.object({ status: z.string(), position: z.object({ index }) }),
    operations: z.array(
      z.object({
        type: z.string(),
        operation_identifier: z.object({ index }),
        metadata: z.unknown().optional().optional(),
      }),
    ),
  }),
  z.object({ burn_block_identifier: anchor }),
);

const deliveryOf = <Block extends z.ZodType>(block: Block) =>
  z.object({ apply: z.array(block).default([]), rollback: z.array(block).default([]) });
const deliveryV1 = deliveryOf(blockV1);
const deliveryV2 = deliveryOf(blockV2);

const printV1 = z.object({
  contract_identifier: z.string(),
  topic: z.string(),
  value: z.unknown().optional(),
  raw_value: z.string().optional(),
});
const printV2 = z.object({
  contract_identifier: z.string(),
  topic: z.string(),
  value: z.union([z.string(), z.object({ hex: z.string() })]),
});

/** A transaction in the same form, whichever version told of it. */
interface Transaction {
  readonly hash: string;
  readonly index: number;
  readonly prints: readonly Print[];
}

interface Print {
  readonly contract: string;
  readonly eventIndex: number;
  readonly value: ChainValue;
}

/**
 * Reads a delivery of Chainhook, of either version. Transactions that failed, events that are no prints, and prints
 * of contracts that are not `contracts` are left out.
 * @throws MalformedDelivery
 */
export function readDelivery(hook: Hook, body: Buffer, contracts: ReadonlySet<string>): ChainDelivery {
  const exact = parseExactly(body.toString('utf8'));
  const { json } = exact;
  const isV2 = z.object({ event: z.object({}) }).safeParse(json).success;

  function blocks<Block extends z.output<typeof blockV1> | z.output<typeof blockV2>>(
    { apply, rollback }: { apply: Block[]; rollback: Block[] },
    transactions: (block: Block) => Transaction[],
    bitcoinHeight: (block: Block) => number | undefined,
  ): ChainDelivery {
    const read = (block: Block): DeliveredBlock => {
      const { block_identifier: own, parent_block_identifier: parent, timestamp } = block;
      const place = { hook, blockHash: own.hash, height: own.index, timestamp };
      return {
        hash: own.hash,
        height: own.index,
        parent: parent.hash,
        bitcoinHeight: bitcoinHeight(block),
        events: transactions(block).flatMap((tx) =>
          tx.prints.flatMap(({ contract, eventIndex, value }) =>
            contracts.has(contract) && isRecord(value) && typeof value.event === 'string'
              ? [
                  {
                    ...place,
                    contract,
                    txHash: tx.hash,
                    txIndex: tx.index,
                    eventIndex,
                    name: value.event,
                    value,
                  },
                ]
              : [],
          ),
        ),
      };
    };
    return { apply: apply.map(read), rollback: rollback.map(read) };
  }

  if (isV2) {
    const { event } = check(z.object({ event: deliveryV2 }), json);
    return blocks(event, transactionsV2, (block) => block.metadata?.burn_block_identifier?.index);
  }
  const delivery = check(deliveryV1, json);
  if (
    !z
      .union([z.object({ apply: z.array(z.unknown()) }), z.object({ rollback: z.array(z.unknown()) })])
      .safeParse(json).success
  )
    throw malformed('it has neither apply nor rollback');
  return blocks(
    delivery,
    (block) => transactionsV1(block, exact),
    (block) => block.metadata?.bitcoin_anchor_block_identifier?.index,
  );
}

function transactionsV1({ transactions }: z.output<typeof blockV1>, exact: ExactJson): Transaction[] {
  return transactions
    .filter(({ metadata }) => metadata.success)
    .map(({ transaction_identifier: { hash }, metadata }) => ({
      hash,
      index: metadata.position.index,
      prints: metadata.receipt.events.flatMap(({ type, position, data }, place) => {
        if (type !== 'SmartContractEvent') return [];
        const { contract_identifier: contract, topic, value, raw_value: raw } = check(printV1, data);
        if (topic !== 'print') return [];
        const printed =
          value === undefined ? (raw === undefined ? null : decodeClarity(raw)) : exact.toValue(value);
        return [{ contract, eventIndex: position?.index ?? place, value: printed }];
      }),
    }));
}

function transactionsV2({ transactions }: z.output<typeof blockV2>): Transaction[] {
  return transactions
    .filter(({ metadata }) => metadata.status === 'success')
    .map(({ transaction_identifier: { hash }, metadata: { position }, operations }) => ({
      hash,
      index: position.index,
      prints: operations.flatMap(({ type, operation_identifier: { index: eventIndex }, metadata }) => {
        if (type !== 'contract_log') return [];
        const { contract_identifier: contract, topic, value } = check(printV2, metadata);
        if (topic !== 'print') return [];
        return [
          { contract, eventIndex, value: decodeClarity(typeof value === 'string' ? value : value.hex) },
        ];
      }),
    }));
}

/** @throws MalformedDelivery that says where it does not fit. */
function check<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw malformed(
    result.error.issues
      .slice(0, 3)
      .map(({ path, message }) => `${path.join('.')}: ${message}`)
      .join('; '),
  );
}

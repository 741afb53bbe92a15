import { builder } from '../../graphql/builder.ts';
import { EventRef, fact, watch } from '../../graphql/events.ts';
import { requesterOf } from '../../platform/auth/requester.ts';
import { badInput } from '../../platform/errors.ts';
import type { Delivery } from '../../platform/feed/rendering.ts';
import { BlockRef, toldBlock } from '../graphql.ts';
import { txidPattern } from '../graphql-transactions.ts';
import type { TransactionEventType } from './events.ts';

const TransactionEventRef = builder.interfaceRef<Delivery>('TransactionEvent').implement({
  description: 'Something that happened to a transaction that somebody watches. Kept for 7 days.',
  interfaces: [EventRef],
  resolveType: ({ event }) => event.type,
  fields: (t) => ({
    txid: t.id({
      description: 'The id of the transaction.',
      resolve: (delivery) => fact<string>(delivery, 'txid'),
    }),
  }),
});

const transactionEventRef = (name: TransactionEventType) => builder.objectRef<Delivery>(name);

const interfaces = [TransactionEventRef, EventRef];

transactionEventRef('TxSeen').implement({
  description: 'A transaction waits to be confirmed: it has just come, or did so before it was watched.',
  interfaces,
  fields: (t) => ({
    feeRate: t.float({
      nullable: true,
      description: 'What it pays; sat/vB. Null where the node does not say.',
      resolve: (delivery) => fact<number | null>(delivery, 'feeRate'),
    }),
    virtualSize: t.int({
      description: 'Its size; vB.',
      resolve: (delivery) => fact<number>(delivery, 'virtualSize'),
    }),
  }),
});

transactionEventRef('TxConfirmed').implement({
  description: 'A block has a transaction, or another has come upon that one: told up to 6 confirmations.',
  interfaces,
  fields: (t) => ({
    confirmations: t.int({
      description: 'How many blocks have it, or are above the one that has.',
      resolve: (delivery) => fact<number>(delivery, 'confirmations'),
    }),
    block: t.field({
      type: BlockRef,
      description: 'The block that has it.',
      resolve: (delivery, _args, context) => toldBlock(context, fact<string>(delivery, 'block')),
    }),
  }),
});

transactionEventRef('TxReplaced').implement({
  description: 'A transaction that waited has lost its place to one that spends the same.',
  interfaces,
  fields: (t) => ({
    by: t.id({
      description: 'The id of the other transaction.',
      resolve: (delivery) => fact<string>(delivery, 'by'),
    }),
  }),
});

transactionEventRef('TxDisconnected').implement({
  description: 'A reorganisation has taken the block that has a transaction off the chain: it waits again.',
  interfaces,
  fields: (t) => ({
    block: t.id({
      description: 'The hash of that block.',
      resolve: (delivery) => fact<string>(delivery, 'block'),
    }),
  }),
});

const most = 100;
const addressPattern = /^[0-9A-Za-z]{14,90}$/;
const bech32Pattern = /^(bc|tb|bcrt)1/i;

function requireSome(argument: string, values: readonly string[], pattern: RegExp, shape: string): void {
  if (values.length > most) throw badInput(argument, `At most ${most} at a time.`);
  const wrong = values.find((value) => !pattern.test(value));
  if (wrong !== undefined) throw badInput(argument, shape);
}

builder.subscriptionField('txSeen', (t) =>
  t.field({
    type: TransactionEventRef,
    authScopes: { anyone: true },
    description:
      'What happens to transactions, by id, or by an address that they pay or whose outputs they spend. Without `after`, live from now; of what was not watched before, first how those given by id stand. Errors: BAD_USER_INPUT, CURSOR_EXPIRED, RATE_LIMITED, UNAVAILABLE.',
    args: {
      txids: t.arg.idList({ description: 'At most 100 ids; 64 digits each, lower case.' }),
      addresses: t.arg.stringList({ description: 'At most 100 addresses.' }),
      after: t.arg({
        type: 'Cursor',
        description: 'Everything behind this cursor first: one of the same ids and addresses.',
      }),
    },
    subscribe: async (_root, args, context) => {
      const { services, viewer, address } = context;
      services.chain.require();
      const txids = args.txids ?? [];
      const addresses = args.addresses ?? [];
      requireSome('txids', txids, txidPattern, 'A txid has 64 hexadecimal digits.');
      requireSome('addresses', addresses, addressPattern, 'That is no address.');
      if (txids.length + addresses.length === 0) throw badInput('txids', 'Give ids or addresses.');
      const topic = await services.tracks.track(
        // Those may be written in capitals, and nodes do not.
        { txids, addresses: addresses.map((each) => (bech32Pattern.test(each) ? each.toLowerCase() : each)) },
        requesterOf(viewer, address),
      );
      return watch(context, { topic, after: args.after, view: { access: 'PUBLIC' } });
    },
    resolve: (delivery) => delivery,
  }),
);

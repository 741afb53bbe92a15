import { builder } from './builder.ts';

export const OriginEnum = builder.enumType('Origin', {
  description: 'Where something is decided.',
  values: {
    SATWIRE: { description: 'Here: its sats are in the ledger, and it is changed by mutations.' },
    STACKS: { description: 'On the Stacks chain: it is mirrored, and changed only there.' },
  } as const,
});

import fc from 'fast-check';
import type { Fate } from './money-model.ts';

/** What is done to a server, and to a model of it; `pick` says to which of its objects or invoices. */
export type Action =
  | { readonly do: 'createJob'; readonly fate: Fate }
  | { readonly do: 'openSession'; readonly deposit: number }
  | { readonly do: 'topUp'; readonly pick: number; readonly sats: number }
  | { readonly do: 'debit'; readonly pick: number; readonly sats: number }
  | { readonly do: 'debitAtOnce'; readonly pick: number; readonly all: readonly number[] }
  | { readonly do: 'close'; readonly pick: number }
  | { readonly do: 'pay'; readonly pick: number; readonly surplus: number; readonly times: number }
  | { readonly do: 'payUnheard'; readonly pick: number; readonly surplus: number }
  | { readonly do: 'wait'; readonly seconds: number };

const pick = fc.nat(50);
const surplus = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 30 }));

/** Any action, those more often that take a job or a session further. */
export const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('createJob' as const),
      fate: fc.constantFrom<Fate>('COMPLETE', 'REJECTED', 'FAILED'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('openSession' as const),
      deposit: fc.integer({ min: 100, max: 200 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('topUp' as const),
      pick,
      sats: fc.oneof(fc.integer({ min: 1, max: 15 }), fc.integer({ min: 1, max: 90 })),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('debit' as const), pick, sats: fc.integer({ min: 1, max: 150 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('debitAtOnce' as const),
      pick,
      all: fc.array(fc.integer({ min: 1, max: 80 }), { minLength: 2, maxLength: 5 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('close' as const), pick }) },
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant('pay' as const),
      pick,
      surplus,
      times: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('payUnheard' as const), pick, surplus }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      seconds: fc.oneof(
        { weight: 3, arbitrary: fc.integer({ min: 1, max: 3_000 }) },
        { weight: 1, arbitrary: fc.integer({ min: 3_000, max: 100_000 }) },
      ),
    }),
  },
);

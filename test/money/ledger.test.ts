import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Account,
  createLedger,
  type Entry,
  ownerAccount,
  type Transfer,
} from '../../src/money/ledger.ts';
import { createLog } from '../../src/platform/log/log.ts';
import { standingClock } from '../support/clock.ts';
import { useDatabase } from '../support/database.ts';

const db = useDatabase();
const clock = standingClock();
const ledger = createLedger({ clock, onEntry: () => {} });

let made = 0;
/** A name that no other test uses. */
const fresh = () => {
  made += 1;
  return `t${made}`;
};

const transfer = (from: Account, to: Account, amount: bigint, key = fresh()): Transfer => ({
  key,
  from,
  to,
  amount,
  reason: 'TEST',
});

const book = (...transfers: Transfer[]) => db().transaction((tx) => ledger.transfer(tx, ...transfers));

const sum = (balances: ReadonlyMap<string, bigint>) => [...balances.values()].reduce((a, b) => a + b, 0n);

const transfersWith = (keys: readonly string[]) =>
  db().query<{ key: string; occurredAt: Date }>(
    'SELECT key, occurred_at AS "occurredAt" FROM transfers WHERE key = ANY($1::text[]) ORDER BY id',
    [keys],
  );

describe('a transfer', () => {
  it('takes from one account what it gives to the other', async () => {
    const session: Account = `session:${fresh()}`;
    const before = (await ledger.all(db())).get('lightning') ?? 0n;
    const key = fresh();
    await book(transfer('lightning', session, 700n, key));
    expect(await ledger.balance(db(), session)).toBe(700n);
    const all = await ledger.all(db());
    expect(all.get('lightning')).toBe(before - 700n);
    expect(all.get(session)).toBe(700n);
    expect(sum(all)).toBe(0n);
    expect(await transfersWith([key])).toEqual([{ key, occurredAt: new Date(clock.now()) }]);
  });

  it('takes everything from a guarded account, and not one sat more', async () => {
    const session: Account = `session:${fresh()}`;
    const wallet: Account = `wallet:${fresh()}`;
    await book(transfer('lightning', session, 10n));
    await expect(book(transfer(session, wallet, 11n))).rejects.toMatchObject({ code: 'INSUFFICIENT_FUNDS' });
    expect(await ledger.balance(db(), session)).toBe(10n);
    expect(await ledger.balance(db(), wallet)).toBe(0n);
    await book(transfer(session, wallet, 10n));
    expect(await ledger.balance(db(), session)).toBe(0n);
    expect(await ledger.balance(db(), wallet)).toBe(10n);
    await expect(book(transfer(session, wallet, 1n))).rejects.toMatchObject({ code: 'INSUFFICIENT_FUNDS' });
  });

  it('takes nothing from a guarded account that has never had anything', async () => {
    await expect(book(transfer(`refund:${fresh()}`, 'revenue', 1n))).rejects.toMatchObject({
      code: 'INSUFFICIENT_FUNDS',
    });
  });

  it('is booked with all others of its call, or none is', async () => {
    const session: Account = `session:${fresh()}`;
    const keys = [fresh(), fresh()] as const;
    await expect(
      book(transfer('lightning', session, 5n, keys[0]), transfer(session, 'revenue', 6n, keys[1])),
    ).rejects.toMatchObject({ code: 'INSUFFICIENT_FUNDS' });
    expect(await transfersWith(keys)).toEqual([]);
    expect(await ledger.balance(db(), session)).toBe(0n);
  });

  it('may pass through a guarded account within one call', async () => {
    const session: Account = `session:${fresh()}`;
    await book(transfer('lightning', session, 5n), transfer(session, 'revenue', 5n));
    expect(await ledger.balance(db(), session)).toBe(0n);
  });

  it('tells what it left on each account, one transfer of a call after another, also in the table', async () => {
    const entries: Entry[] = [];
    const telling = createLedger({ clock, onEntry: (_tx, entry) => void entries.push(entry) });
    const stream: Account = `stream:${fresh()}`;
    const wallet: Account = `wallet:${fresh()}`;
    const keys = [fresh(), fresh(), fresh(), fresh()];
    const [first, second, third, fourth] = keys as [string, string, string, string];
    await db().transaction((tx) => telling.transfer(tx, transfer('lightning', wallet, 100n, first)));
    await db().transaction((tx) =>
      telling.transfer(
        tx,
        transfer(wallet, stream, 60n, second),
        transfer(stream, wallet, 20n, third),
        transfer(stream, 'revenue', 40n, fourth),
      ),
    );
    const reason = 'TEST';
    expect(entries).toEqual([
      { account: wallet, change: 100n, balanceAfter: 100n, reason },
      { account: wallet, change: -60n, balanceAfter: 40n, reason },
      { account: stream, change: 60n, balanceAfter: 60n, reason },
      { account: stream, change: -20n, balanceAfter: 40n, reason },
      { account: wallet, change: 20n, balanceAfter: 60n, reason },
      { account: stream, change: -40n, balanceAfter: 0n, reason },
    ]);
    const rows = await db().query(
      'SELECT from_balance AS "from", to_balance AS "to" FROM transfers WHERE key = ANY($1::text[]) ORDER BY id',
      [keys],
    );
    expect(rows).toEqual([
      { from: null, to: 100n },
      { from: 40n, to: 60n },
      { from: 40n, to: 60n },
      { from: 0n, to: null },
    ]);
  });

  it('between accounts that are locked is booked by the last statement, as any other', async () => {
    const entries: Entry[] = [];
    const telling = createLedger({ clock, onEntry: (_tx, entry) => void entries.push(entry) });
    const log = createLog({ db: db(), clock, onCommitted: () => {} });
    const [stream, wallet]: [Account, Account] = [`stream:${fresh()}`, `wallet:${fresh()}`];
    await book(transfer('lightning', stream, 50n), transfer('lightning', wallet, 7n));
    const held = { from: 50n, to: 7n };
    const key = fresh();
    await db().transaction(async (tx) =>
      telling.transferHeld(tx, log, held, transfer(stream, wallet, 20n, key)),
    );
    expect(await ledger.balances(db(), [stream, wallet])).toEqual(
      new Map([
        [stream, 30n],
        [wallet, 27n],
      ]),
    );
    const reason = 'TEST';
    expect(entries).toEqual([
      { account: stream, change: -20n, balanceAfter: 30n, reason },
      { account: wallet, change: 20n, balanceAfter: 27n, reason },
    ]);
    expect(
      await db().query(
        `SELECT from_account, to_account, amount_sats, reason, from_balance, to_balance, occurred_at FROM transfers
         WHERE key = $1`,
        [key],
      ),
    ).toEqual([
      {
        ...{ from_account: stream, to_account: wallet, amount_sats: 20n, reason },
        ...{ from_balance: 30n, to_balance: 27n, occurred_at: new Date(clock.now()) },
      },
    ]);
    const tooMuch = db().transaction(async (tx) =>
      ledger.transferHeld(tx, log, { from: 30n, to: 27n }, transfer(stream, wallet, 31n)),
    );
    await expect(tooMuch).rejects.toMatchObject({ code: 'INSUFFICIENT_FUNDS' });
  });

  it('has a key that is never used again', async () => {
    const session: Account = `session:${fresh()}`;
    const key = fresh();
    await book(transfer('lightning', session, 5n, key));
    await expect(book(transfer('lightning', session, 5n, key))).rejects.toThrow(/transfers_key_key/);
    await expect(book(transfer(session, 'revenue', 1n, key))).rejects.toThrow(/transfers_key_key/);
    expect(await ledger.balance(db(), session)).toBe(5n);
  });

  it('moves at least one sat, between two accounts', async () => {
    const session: Account = `session:${fresh()}`;
    for (const amount of [0n, -1n])
      await expect(book(transfer('lightning', session, amount))).rejects.toThrow('at least one sat');
    await expect(book(transfer('revenue', 'revenue', 1n))).rejects.toThrow(/to_account|check/);
  });

  it('cannot be written around: the table itself refuses a balance below zero', async () => {
    const session: Account = `session:${fresh()}`;
    await book(transfer('lightning', session, 5n));
    await expect(
      db().query('UPDATE balances SET balance_sats = -1 WHERE account = $1', [session]),
    ).rejects.toThrow(/balance_not_negative/);
  });
});

it('moves money between collecting accounts, which have no balance to answer', async () => {
  const before = await ledger.all(db());
  const left = await db().transaction((tx) => ledger.transfer(tx, transfer('lightning', 'revenue', 6n)));
  const after = await ledger.all(db());
  expect(left).toEqual(new Map());
  expect(after.get('lightning')).toBe((before.get('lightning') ?? 0n) - 6n);
  expect(after.get('revenue')).toBe((before.get('revenue') ?? 0n) + 6n);
});

it('answers the balances of several accounts, and leaves out those that never had anything', async () => {
  const [one, other, never]: Account[] = [`session:${fresh()}`, `job:${fresh()}`, `wallet:${fresh()}`];
  await book(transfer('lightning', one!, 3n), transfer('lightning', other!, 4n));
  expect(await ledger.balances(db(), [one!, other!, never!])).toEqual(
    new Map([
      [one, 3n],
      [other, 4n],
    ]),
  );
});

it('returns money to the wallet of a user, and to the refundable balance of an anonymous owner', () => {
  expect(ownerAccount({ userId: 'usr_a', objectId: 'job_a' })).toBe('wallet:usr_a');
  expect(ownerAccount({ userId: null, objectId: 'job_a' })).toBe('refund:job_a');
});

describe('folding', () => {
  const unfolded = async () =>
    Number((await db().query<{ count: bigint }>('SELECT count(*) FROM collected_changes'))[0]?.count);
  const fold = () => db().transaction((tx) => ledger.fold(tx));

  it('changes no balance, takes a bounded step at a time, and says when it is through', async () => {
    while (await fold());
    await db().query(
      `INSERT INTO collected_changes (account, change_sats)
       SELECT CASE WHEN n % 2 = 0 THEN 'lightning' ELSE 'revenue' END, CASE WHEN n % 2 = 0 THEN -1 ELSE 1 END
       FROM generate_series(1, 1500) n`,
    );
    const before = await ledger.all(db());
    expect(await fold()).toBe(true);
    expect(await unfolded()).toBe(500);
    expect(await ledger.all(db())).toEqual(before);
    expect(await fold()).toBe(false);
    expect(await unfolded()).toBe(0);
    expect(await ledger.all(db())).toEqual(before);
    expect(await fold()).toBe(false);
  });

  it('keeps the sums while transfers go on', async () => {
    const session: Account = `session:${fresh()}`;
    const before = (await ledger.all(db())).get('lightning') ?? 0n;
    await Promise.all(
      Array.from({ length: 20 }, async (_, n) => {
        await book(transfer('lightning', session, 2n));
        if (n % 4 === 0) await fold();
        await book(transfer(session, 'revenue', 1n));
      }),
    );
    const all = await ledger.all(db());
    expect(all.get('lightning')).toBe(before - 40n);
    expect(all.get(session)).toBe(20n);
    expect(sum(all)).toBe(0n);
  });

  it('adds up what no 64-bit number holds', async () => {
    await db().transaction(async (tx) => {
      const most = 2n ** 63n - 1n;
      await tx.query(
        `INSERT INTO collected_changes (account, change_sats) VALUES ('lightning', $1), ('lightning', $1),
           ('revenue', $2), ('revenue', $2)`,
        [most, -most],
      );
    });
    const before = await ledger.all(db());
    expect(before.get('lightning')).toBeGreaterThan(2n ** 63n);
    await fold();
    expect(await ledger.all(db())).toEqual(before);
  });
});

it('agrees with plain arithmetic, whatever is booked and folded', async () => {
  const names: readonly Account[] = ['lightning', 'revenue', 'wallet:p', 'session:p', 'job:p', 'refund:p'];
  const oneTransfer = fc
    .uniqueArray(fc.constantFrom(...names), { minLength: 2, maxLength: 2 })
    .chain(([from, to]) =>
      fc.record({ from: fc.constant(from!), to: fc.constant(to!), amount: fc.bigInt(1n, 60n) }),
    );
  const steps = fc.array(
    fc.oneof(
      { weight: 1, arbitrary: fc.constant('FOLD' as const) },
      { weight: 4, arbitrary: fc.array(oneTransfer, { minLength: 1, maxLength: 3 }) },
    ),
    { maxLength: 20 },
  );
  const model = new Map((await ledger.all(db())).entries());
  await fc.assert(
    fc.asyncProperty(steps, async (calls) => {
      for (const call of calls) {
        if (call === 'FOLD') {
          await db().transaction((tx) => ledger.fold(tx));
          continue;
        }
        const after = new Map(model);
        for (const { from, to, amount } of call) {
          after.set(from, (after.get(from) ?? 0n) - amount);
          after.set(to, (after.get(to) ?? 0n) + amount);
        }
        const allowed = names.every(
          (name) => name === 'lightning' || name === 'revenue' || (after.get(name) ?? 0n) >= 0n,
        );
        const booked = await book(...call.map(({ from, to, amount }) => transfer(from, to, amount))).then(
          () => true,
          (error) => {
            expect(error).toMatchObject({ code: 'INSUFFICIENT_FUNDS' });
            return false;
          },
        );
        expect(booked).toBe(allowed);
        if (allowed) for (const [name, balance] of after) model.set(name, balance);
      }
      const all = await ledger.all(db());
      expect(sum(all)).toBe(0n);
      for (const [name, balance] of model) expect(all.get(name) ?? 0n).toBe(balance);
    }),
    { numRuns: 60 },
  );
});

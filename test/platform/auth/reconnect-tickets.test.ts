import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createReconnectTickets, type Redeemed } from '../../../src/platform/auth/reconnect-tickets.ts';
import type { Viewer } from '../../../src/platform/auth/viewer.ts';
import { type MovableClock, standingClock } from '../../support/clock.ts';
import { useDatabase } from '../../support/database.ts';
import { anonymous } from '../../support/viewers.ts';

const db = useDatabase();

const minute = 60_000;
const refusal = { code: 'UNAUTHENTICATED', details: { reason: 'TOKEN_INVALID' } };

function build(clock: MovableClock = standingClock()) {
  return { clock, tickets: createReconnectTickets({ db: db(), clock }) };
}

let users = 0;

/** A user of a test's own, whose token lasts for an hour unless it is told otherwise; ms. */
function newUser(clock: MovableClock, lasts = 60 * minute): Viewer & { readonly user: object } {
  users += 1;
  const user = {
    id: `usr_${users}`,
    roles: ['USER' as const],
    tokenId: `token ${users}`,
    issuedAt: new Date(clock.now()),
    expiresAt: new Date(clock.now() + lasts),
  };
  return { user, objects: new Set(['job_1']), bearerObject: undefined };
}

const rowsOf = (table: string) => db().query(`SELECT * FROM ${table}`);

async function issued(tickets: ReturnType<typeof createReconnectTickets>, viewer: Viewer): Promise<string> {
  const first = await tickets.issue(viewer);
  expect(first).toBeDefined();
  return (first as { readonly ticket: string }).ticket;
}

describe('a reconnect ticket', () => {
  it('stands for the credentials that it was issued for, for ten minutes, and its successors likewise', async () => {
    const { clock, tickets } = build();
    const viewer = newUser(clock);
    const first = await tickets.issue(viewer);
    expect(first).toEqual({
      ticket: expect.stringMatching(/^rct_[\w-]{43}$/),
      ticketExpiresAt: new Date(clock.now() + 10 * minute),
    });
    let ticket = String(first?.ticket);
    for (let turn = 0; turn < 3; turn += 1) {
      clock.advance(10 * minute - 1);
      const redeemed = await tickets.redeem(ticket);
      expect(redeemed).toEqual({
        viewer,
        next: {
          ticket: expect.stringMatching(/^rct_[\w-]{43}$/),
          ticketExpiresAt: new Date(clock.now() + 10 * minute),
        },
      });
      ticket = redeemed.next.ticket;
    }
    clock.advance(10 * minute);
    await expect(tickets.redeem(ticket)).rejects.toMatchObject(refusal);
  });

  it('never lasts longer than the token behind it', async () => {
    const { clock, tickets } = build();
    const viewer = newUser(clock, 5 * minute);
    const first = await tickets.issue(viewer);
    const expiresAt = new Date(clock.now() + 5 * minute);
    expect(first?.ticketExpiresAt).toEqual(expiresAt);
    clock.advance(5 * minute - 1);
    const { next } = await tickets.redeem(String(first?.ticket));
    expect(next.ticketExpiresAt).toEqual(expiresAt);
    clock.advance(1);
    await expect(tickets.redeem(next.ticket)).rejects.toMatchObject(refusal);
  });

  it('is had by holders of access tokens too, and not by nobody', async () => {
    const { tickets } = build();
    const holder = { ...anonymous, objects: new Set(['ses_1']), bearerObject: 'ses_1' };
    expect((await tickets.redeem(await issued(tickets, holder))).viewer).toEqual(holder);
    expect(await tickets.issue(anonymous)).toBeUndefined();
  });

  it('is good again until its successor has been used, which ends the family of whoever still has it', async () => {
    const { clock, tickets } = build();
    const first = await issued(tickets, newUser(clock));
    const lost = await tickets.redeem(first);
    const { next } = await tickets.redeem(first);
    const { next: newest } = await tickets.redeem(next.ticket);
    expect(new Set([lost.next.ticket, next.ticket, newest.ticket]).size).toBe(3);
    await expect(tickets.redeem(first)).rejects.toMatchObject(refusal);
    for (const ticket of [newest.ticket, next.ticket, lost.next.ticket, first])
      await expect(tickets.redeem(ticket)).rejects.toMatchObject(refusal);
  });

  it('ends its family too when another successor of the same ticket has been used', async () => {
    const { clock, tickets } = build();
    const first = await issued(tickets, newUser(clock));
    const one = await tickets.redeem(first);
    const two = await tickets.redeem(first);
    const { next } = await tickets.redeem(two.next.ticket);
    await expect(tickets.redeem(one.next.ticket)).rejects.toMatchObject(refusal);
    await expect(tickets.redeem(next.ticket)).rejects.toMatchObject(refusal);
  });

  it('of another family does not suffer from that', async () => {
    const { clock, tickets } = build();
    const viewer = newUser(clock);
    const [first, other] = [await issued(tickets, viewer), await issued(tickets, viewer)];
    const { next } = await tickets.redeem(first);
    await tickets.redeem(next.ticket);
    await expect(tickets.redeem(first)).rejects.toMatchObject(refusal);
    expect((await tickets.redeem(other)).viewer).toEqual(viewer);
  });

  it('is worth nothing once its token, or its user, has been revoked', async () => {
    const { clock, tickets } = build();
    const [one, two] = [newUser(clock), newUser(clock)];
    const ofToken = await issued(tickets, one);
    const ofUser = await issued(tickets, two);
    await db().query('INSERT INTO users (id, subject, created_at) VALUES ($1, $1, $2)', [
      two.user?.id,
      new Date(clock.now()),
    ]);
    const { next } = await tickets.redeem(ofUser);
    await db().query('INSERT INTO revoked_tokens (token_id, expires_at) VALUES ($1, $2)', [
      one.user?.tokenId,
      one.user?.expiresAt,
    ]);
    await db().query('UPDATE users SET tokens_valid_from = $2 WHERE id = $1', [
      two.user?.id,
      new Date(clock.now() + 1),
    ]);
    for (const ticket of [ofToken, ofUser, next.ticket])
      await expect(tickets.redeem(ticket)).rejects.toMatchObject(refusal);
  });

  it.each(['', 'rct_', 'rct_nothing', '\u0000', 'x'.repeat(10_000)])('is not %j', async (ticket) => {
    await expect(build().tickets.redeem(ticket)).rejects.toMatchObject(refusal);
  });

  it('is in the database as a hash alone', async () => {
    const { clock, tickets } = build();
    const first = await issued(tickets, newUser(clock));
    const { next } = await tickets.redeem(first);
    const rows = JSON.stringify([await rowsOf('reconnect_tickets'), await rowsOf('reconnect_families')]);
    for (const ticket of [first, next.ticket]) expect(rows).not.toContain(ticket.slice(4));
  });
});

describe('what is presented beside a ticket', () => {
  it('takes the place of what the ticket stood for', async () => {
    const { clock, tickets } = build();
    const viewer = newUser(clock);
    const first = await issued(tickets, viewer);
    const user = {
      ...viewer.user,
      tokenId: 'a newer one',
      expiresAt: new Date(clock.now() + 120 * minute),
    } as NonNullable<Viewer['user']>;
    const withToken = await tickets.redeem(first, { ...anonymous, user });
    expect(withToken.viewer).toEqual({ ...viewer, user });
    const objects = new Set(['ses_2']);
    const presented = { user: undefined, objects, bearerObject: 'ses_2' };
    const withObjects = await tickets.redeem(withToken.next.ticket, presented);
    expect(withObjects.viewer).toEqual({ user, objects, bearerObject: 'ses_2' });
    expect((await tickets.redeem(withObjects.next.ticket, anonymous)).viewer).toEqual(withObjects.viewer);
  });

  it('must be of the same user; the ticket has not been used then', async () => {
    const { clock, tickets } = build();
    const first = await issued(tickets, newUser(clock));
    const { next } = await tickets.redeem(first);
    const holder = await issued(tickets, { ...anonymous, objects: new Set(['ses_1']) });
    const other = newUser(clock);
    for (const ticket of [next.ticket, holder])
      await expect(tickets.redeem(ticket, other)).rejects.toMatchObject(refusal);
    await tickets.redeem(first);
    await tickets.redeem(holder);
  });
});

describe('at the same time', () => {
  it('one ticket is good any number of times, and one of its successors goes on', async () => {
    const { clock, tickets } = build();
    const viewer = newUser(clock);
    const first = await issued(tickets, viewer);
    const redeemed = await Promise.all(Array.from({ length: 8 }, () => tickets.redeem(first)));
    const next = redeemed.map((each) => each.next.ticket);
    expect(new Set(next).size).toBe(8);
    expect((await tickets.redeem(next[3] as string)).viewer).toEqual(viewer);
  });

  it('of two successors one is used, and the other ends the family', async () => {
    const { clock, tickets } = build();
    const first = await issued(tickets, newUser(clock));
    const next = await Promise.all([tickets.redeem(first), tickets.redeem(first)]);
    const used = await Promise.allSettled(next.map((each) => tickets.redeem(each.next.ticket)));
    const good = used.filter((each) => each.status === 'fulfilled');
    expect(good).toHaveLength(1);
    const [{ value }] = good as [PromiseFulfilledResult<Redeemed>];
    await expect(tickets.redeem(value.next.ticket)).rejects.toMatchObject(refusal);
  });

  it('a ticket is used, its predecessor presented and the expired forgotten, and nobody waits for ever', async () => {
    const { clock, tickets } = build();
    for (let turn = 0; turn < 20; turn += 1) {
      const first = await issued(tickets, newUser(clock));
      const { next } = await tickets.redeem(first);
      clock.advance(minute);
      const [used, again] = await Promise.allSettled([
        tickets.redeem(next.ticket),
        tickets.redeem(first),
        tickets.forgetExpired(),
      ]);
      // Whoever is first: the successor is good before its predecessor is presented, and after.
      expect(used.status).toBe('fulfilled');
      if (again.status === 'rejected') expect(again.reason).toMatchObject(refusal);
    }
  });
});

it('forgets what has expired, a bounded number at once, and nothing else', async () => {
  const { clock, tickets } = build(standingClock(Date.parse('2040-01-01T00:00:00Z')));
  clock.advance(60 * minute);
  while (await tickets.forgetExpired());
  expect(await rowsOf('reconnect_tickets')).toEqual([]);
  expect(await rowsOf('reconnect_families')).toEqual([]);

  const { next } = await tickets.redeem(await issued(tickets, newUser(clock)));
  const past = new Date(clock.now());
  await db().query(
    `INSERT INTO reconnect_families (id, expires_at) SELECT 'old ' || n, $1 FROM generate_series(1, 700) n`,
    [past],
  );
  await db().query(
    `INSERT INTO reconnect_tickets (ticket_hash, family_id, viewer, expires_at)
     SELECT 'old ' || n, 'old ' || n, '{}'::jsonb, $1 FROM generate_series(1, 700) n`,
    [past],
  );
  expect(await tickets.forgetExpired()).toBe(true);
  expect(await rowsOf('reconnect_tickets')).toHaveLength(202);
  expect(await tickets.forgetExpired()).toBe(true);
  expect(await rowsOf('reconnect_families')).toHaveLength(201);
  expect(await tickets.forgetExpired()).toBe(false);
  expect([(await rowsOf('reconnect_tickets')).length, (await rowsOf('reconnect_families')).length]).toEqual([
    2, 1,
  ]);
  await tickets.redeem(next.ticket);
});

/** A ticket as the rules have it. */
interface ModelTicket {
  readonly ticket: string;
  readonly family: { isRevoked: boolean; readonly used: Set<ModelTicket> };
  /** Itself, and all that it came from. */
  readonly line: ReadonlySet<ModelTicket>;
  readonly expiresAt: number;
}

function modelTicket(
  ticket: string,
  expiresAt: number,
  family: ModelTicket['family'],
  parent?: ModelTicket,
): ModelTicket {
  const line = new Set(parent?.line);
  const made = { ticket, family, line, expiresAt };
  line.add(made);
  return made;
}

/** A ticket is good as long as all that was used of its family is itself, or what it came from. */
function presentToModel({ family, line, expiresAt }: ModelTicket, now: number): boolean {
  if (family.isRevoked || now >= expiresAt) return false;
  family.isRevoked = [...family.used].some((used) => !line.has(used));
  return !family.isRevoked;
}

type Step =
  | { readonly do: 'issue'; readonly minutes: number }
  | { readonly do: 'present'; readonly back: number }
  | { readonly do: 'wait'; readonly minutes: number }
  | { readonly do: 'forget' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('issue' as const), minutes: fc.integer({ min: 1, max: 30 }) }),
  },
  { weight: 10, arbitrary: fc.record({ do: fc.constant('present' as const), back: fc.nat(6) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('wait' as const), minutes: fc.integer({ min: 1, max: 6 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('forget' as const) }) },
);

it('keeps the rules of families, whatever is presented in whichever order', async () => {
  const seen = { good: 0, refused: 0, revoked: 0 };
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40, size: 'max' }), async (steps) => {
      const { clock, tickets } = build();
      const known: ModelTicket[] = [];
      const expiry = (viewer: Viewer) =>
        Math.min(clock.now() + 10 * minute, viewer.user?.expiresAt.getTime() as number);
      for (const each of [{ do: 'issue', minutes: 30 } as const, ...steps]) {
        if (each.do === 'wait') clock.advance(each.minutes * minute);
        if (each.do === 'forget') await tickets.forgetExpired();
        if (each.do === 'issue') {
          const viewer = newUser(clock, each.minutes * minute);
          const family = { isRevoked: false, used: new Set<ModelTicket>() };
          known.push(modelTicket(await issued(tickets, viewer), expiry(viewer), family));
        }
        if (each.do === 'present') {
          const presented = known.at(-1 - (each.back % known.length)) as ModelTicket;
          const { family } = presented;
          const wasRevoked = family.isRevoked;
          const isGood = presentToModel(presented, clock.now());
          const redeemed = await tickets.redeem(presented.ticket).catch((error) => {
            expect(error).toMatchObject(refusal);
            return undefined;
          });
          expect(redeemed !== undefined).toBe(isGood);
          if (!wasRevoked && family.isRevoked) seen.revoked += 1;
          if (!redeemed) {
            seen.refused += 1;
            continue;
          }
          seen.good += 1;
          family.used.add(presented);
          expect(redeemed.next.ticketExpiresAt.getTime()).toBe(expiry(redeemed.viewer));
          known.push(modelTicket(redeemed.next.ticket, expiry(redeemed.viewer), family, presented));
        }
      }
    }),
    { numRuns: 60 },
  );
  for (const times of Object.values(seen)) expect(times).toBeGreaterThan(20);
}, 120_000);

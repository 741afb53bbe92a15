import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createAccessTokens } from '../../../src/platform/auth/access-tokens.ts';
import { createAuthenticate } from '../../../src/platform/auth/authenticate.ts';
import { createTokenIssuer, createTokenVerifier } from '../../../src/platform/auth/tokens.ts';
import { linkAddresses, usersAtAddresses, usersByIds } from '../../../src/platform/auth/users.ts';
import { standingClock } from '../../support/clock.ts';
import { useDatabase } from '../../support/database.ts';

const db = useDatabase();
const clock = standingClock();
const secret = Buffer.from('a secret that has more than 32 characters');
const issuer = createTokenIssuer({ secret, clock });

/** A principal that no other test uses. */
const principal = () =>
  `SP${randomUUID().replaceAll('-', '').toUpperCase()}${String(made++).padStart(6, '0')}`;
let made = 0;

/** The user of a token that says these things. */
async function seen(subject: string, says: { name?: string; addresses?: readonly string[] } = {}) {
  const accessTokens = createAccessTokens({ secret });
  const verifier = createTokenVerifier({ secret, clock });
  const authenticate = createAuthenticate({ db: db(), clock, verifier, accessTokens });
  const token = await issuer.issue({ subject, roles: ['USER'], expiresInSeconds: 60, ...says });
  const { user } = await authenticate({ authorization: `Bearer ${token}`, accessTokens: [] });
  const [known] = await usersByIds(db(), [user?.id as string]);
  if (!known) throw new Error('There is no such user.');
  return known;
}

const at = (...addresses: string[]) =>
  db().transaction((tx) => usersAtAddresses(tx, addresses, new Date(clock.now())));

const countUsers = async () => (await db().query<{ n: bigint }>('SELECT count(*) AS n FROM users'))[0]?.n;

describe('a name', () => {
  it('is what the last token said; one that says none changes nothing', async () => {
    const subject = randomUUID();
    expect(await seen(subject)).toMatchObject({ name: null, address: null });
    expect(await seen(subject, { name: 'Alice' })).toMatchObject({ name: 'Alice' });
    expect(await seen(subject)).toMatchObject({ name: 'Alice' });
    expect(await seen(subject, { name: 'Alicia' })).toMatchObject({ name: 'Alicia' });
  });

  it('may be that of somebody else', async () => {
    const [one, two] = [await seen(randomUUID(), { name: 'Bob' }), await seen(randomUUID(), { name: 'Bob' })];
    expect(one.id).not.toBe(two.id);
  });
});

describe('a principal', () => {
  it('is linked with the subject whose token names it first, for good', async () => {
    const [alice, mallory, address] = [randomUUID(), randomUUID(), principal()];
    const { id } = await seen(alice, { addresses: [address] });
    expect(await seen(mallory, { addresses: [address] })).toMatchObject({ address: null });
    expect(await at(address)).toEqual(new Map([[address, id]]));
    // Nor does a token of hers that names others take it away.
    await seen(alice, { addresses: [] });
    expect(await at(address)).toEqual(new Map([[address, id]]));
  });

  it('is linked once however often a token names it', async () => {
    const address = principal();
    expect(await seen(randomUUID(), { addresses: [address, address] })).toMatchObject({ address });
  });

  it('is one of many: the first by name is shown', async () => {
    const addresses = [principal(), principal(), principal()];
    const subject = randomUUID();
    const { id } = await seen(subject, { addresses: addresses.slice(0, 1) });
    const [first] = [...addresses].sort();
    expect(await seen(subject, { addresses })).toEqual({ id, name: null, address: first });
    expect([...(await at(...addresses)).values()]).toEqual([id, id, id]);
  });

  it('goes to one of the subjects whose tokens name it at the same moment', async () => {
    const address = principal();
    const users = await Promise.all(
      Array.from({ length: 5 }, () => seen(randomUUID(), { addresses: [address] })),
    );
    const owner = (await at(address)).get(address);
    expect(users.filter(({ id }) => id === owner)).toHaveLength(1);
  });

  it('without a subject is a user with only this address, made once', async () => {
    const [address, other] = [principal(), principal()];
    const before = (await countUsers()) as bigint;
    const found = await at(address, other, address);
    expect(found.size).toBe(2);
    expect(await countUsers()).toBe(before + 2n);
    expect(await at(other, address)).toEqual(found);
    expect(await countUsers()).toBe(before + 2n);
    const id = found.get(address) as string;
    expect(await usersByIds(db(), [id, 'usr_none'])).toEqual([{ id, name: null, address }]);
  });

  it('is one user for all who come upon it at the same moment', async () => {
    const address = principal();
    const found = await Promise.all(Array.from({ length: 5 }, () => at(address)));
    expect(new Set(found.map((each) => each.get(address))).size).toBe(1);
  });

  it('without a subject becomes that of the subject whose token names it', async () => {
    const address = principal();
    const placeholder = (await at(address)).get(address);
    const { id } = await seen(randomUUID(), { addresses: [address] });
    expect(id).not.toBe(placeholder);
    expect(await at(address)).toEqual(new Map([[address, id]]));
    expect(await usersByIds(db(), [placeholder as string])).toMatchObject([{ address: null }]);
    expect(await seen(randomUUID(), { addresses: [address] })).toMatchObject({ address: null });
  });

  it('is none that is not asked for', async () => {
    expect(await at()).toEqual(new Map());
    await linkAddresses(db(), 'usr_none', []);
  });
});

import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Settled } from '../../src/inbox/inbox.ts';
import { conflict, forbidden } from '../../src/platform/errors.ts';
import { startTestApp, useTestApp } from '../support/app.ts';
import {
  applied,
  blockOn,
  bodyOf,
  chainhookEnv,
  genesis,
  postChain,
  transaction,
} from '../support/chainhook.ts';
import { withoutTable } from '../support/faults.ts';
import { connectRaw } from '../support/raw-http.ts';
import { until } from '../support/until.ts';

const secret = 'the key of the indexer';
const settled: Settled[] = [];
const app = useTestApp(
  { ...chainhookEnv, INDEXER_WEBHOOK_SECRET: secret },
  {
    domain: (inbox) =>
      inbox.onSettled(async (tx, each) => {
        if (each.streamId === 'unknown') throw forbidden();
        if (each.streamId === 'ended') throw conflict('INVALID_STATE', 'It has ended.');
        tx.afterCommit(() => settled.push(each));
      }),
  },
);

const stored = async (source: string) =>
  app().services.db.query<{ external_id: string | null; processed_at: Date | null; failed_at: Date | null }>(
    'SELECT external_id, processed_at, failed_at FROM inbox_deliveries WHERE source = $1 ORDER BY id',
    [source],
  );
const idle = () =>
  until(
    'the processing',
    async () =>
      (
        await app().services.db.query(
          'SELECT 1 FROM inbox_deliveries WHERE processed_at IS NULL AND failed_at IS NULL',
        )
      ).length === 0,
  );

describe('what Chainhook posts', () => {
  const body = bodyOf(applied(blockOn(genesis(), transaction({ event: 'x' }))));

  it('is let in by the secret alone, on its three paths', async () => {
    for (const hook of ['streams', 'marketplace', 'treasury']) {
      expect(await postChain(app(), hook, body)).toBe(200);
      expect(await postChain(app(), hook, body, `${chainhookEnv.CHAINHOOK_SECRET} `.repeat(2))).toBe(401);
      expect(await postChain(app(), hook, body, '')).toBe(401);
    }
    expect(await postChain(app(), 'nft', body)).toBe(404);
    const bare = await fetch(new URL('/webhooks/chainhook/streams', app().url), { method: 'POST', body });
    expect(bare.status).toBe(401);
  });

  it('may not come from a page of another origin', async () => {
    const response = await fetch(new URL('/webhooks/chainhook/streams', app().url), {
      method: 'POST',
      headers: {
        origin: 'https://elsewhere.example',
        authorization: `Bearer ${chainhookEnv.CHAINHOOK_SECRET}`,
      },
      body,
    });
    expect(response.status).toBe(403);
  });

  it.each(['', '   ', '[]', 'null', 'payload', '\u001f\u008b'])(
    'is refused when it is certainly none: %j',
    async (no) => {
      expect(await postChain(app(), 'streams', no)).toBe(400);
    },
  );

  it('is refused beyond 40 MB, whether it says so or not', async () => {
    const head = `POST /webhooks/chainhook/streams HTTP/1.1\r\nHost: satwire\r\nAuthorization: Bearer ${chainhookEnv.CHAINHOOK_SECRET}\r\n`;
    const said = await connectRaw(app().url);
    said.write(`${head}Content-Length: 41943041\r\n\r\n`);
    await said.receive(/^HTTP\/1.1 413 /);
    await until('the end', () => said.ended);
    const unsaid = await connectRaw(app().url);
    unsaid.write(`${head}Transfer-Encoding: chunked\r\n\r\n`);
    const chunk = `100000\r\n${'x'.repeat(1_048_576)}\r\n`;
    for (let n = 0; n < 41; n += 1) unsaid.write(chunk);
    await unsaid.receive(/^HTTP\/1.1 413 /);
    await until('the end', () => unsaid.ended);
  });

  it('is not there without a secret', async () => {
    const without = await startTestApp();
    expect(await postChain(without, 'streams', body)).toBe(404);
    expect((await fetch(new URL('/webhooks/indexer', without.url), { method: 'POST' })).status).toBe(404);
  });

  it('is answered 500 when it cannot be stored, so that it is sent again', async () => {
    expect(await withoutTable(app(), 'inbox_deliveries', () => postChain(app(), 'streams', body))).toBe(500);
  });

  it('is taken at almost 40 MB', async () => {
    const name = 'x'.repeat(150);
    const txs = Array.from({ length: 40_000 }, (_, n) =>
      transaction({ event: 'large', n: 2n ** 100n + BigInt(n), name }),
    );
    const large = bodyOf(applied(blockOn(genesis(5_000), ...txs)));
    expect(large.length).toBeGreaterThan(30_000_000);
    expect(large.length).toBeLessThan(41_943_040);
    expect(await postChain(app(), 'marketplace', large)).toBe(200);
    await idle();
    expect(await stored('marketplace')).toEqual([]);
  });
});

describe('what the indexer posts', () => {
  let n = 0;
  const event = (more: object = {}) => {
    n += 1;
    return {
      eventId: `event-${n}`,
      eventType: 'settled',
      streamId: `stream-${n}`,
      occurredAt: '2026-01-01T00:00:00Z',
      ...more,
    };
  };
  const sign = (body: string) => createHmac('sha256', secret).update(body).digest('hex');
  async function post(body: string, signature: string | undefined = `sha256=${sign(body)}`) {
    const response = await fetch(new URL('/webhooks/indexer', app().url), {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(signature !== '' && { 'x-indexer-signature': signature }),
      },
      body,
    });
    return { status: response.status, body: await response.json() };
  }

  it('settles a stream, once however often it is posted', async () => {
    const first = event({ transactionHash: '0xabc', data: { any: 'thing' } });
    const body = JSON.stringify(first);
    expect(await post(body)).toEqual({ status: 202, body: { status: 'accepted' } });
    expect(await post(body, sign(body).toUpperCase())).toEqual({
      status: 202,
      body: { status: 'accepted', duplicate: true },
    });
    const second = event({ eventType: 'settle:finished' });
    await post(JSON.stringify(second));
    await until('both', () => settled.length === 2);
    expect(settled).toEqual([
      { streamId: first.streamId, transaction: '0xabc', key: `indexer:${first.eventId}`, by: 'INDEXER' },
      { streamId: second.streamId, transaction: null, key: `indexer:${second.eventId}`, by: 'INDEXER' },
    ]);
  });

  it('is kept and does nothing when it is of another type', async () => {
    const other = event({ eventType: 'stream_paused' });
    const before = settled.length;
    await post(JSON.stringify(other));
    await idle();
    expect(settled.length).toBe(before);
    const [row] = (await stored('indexer')).filter((each) => each.external_id === other.eventId);
    expect(row?.processed_at).toBeInstanceOf(Date);
  });

  it('is set aside when its stream is not known, or cannot be settled, and holds nothing up', async () => {
    const refused = [event({ streamId: 'unknown' }), event({ streamId: 'ended' })];
    for (const each of refused) await post(JSON.stringify(each));
    const good = event();
    await post(JSON.stringify(good));
    await until('the good one', () => settled.some(({ streamId }) => streamId === good.streamId));
    const rows = await stored('indexer');
    for (const { eventId } of refused)
      expect(rows.find((each) => each.external_id === eventId)?.failed_at).toBeInstanceOf(Date);
  });

  it('needs the signature of the very bytes', async () => {
    const body = JSON.stringify(event());
    for (const wrong of ['', 'sha256=', sign(`${body} `), `sha256=${'0'.repeat(64)}`, `sha1=${sign(body)}`])
      expect((await post(body, wrong)).status).toBe(401);
    expect((await post(`${body} `, sign(body))).status).toBe(401);
  });

  it.each([
    ['no JSON', '{', /expected object/],
    ['no event id', JSON.stringify({ ...event(), eventId: '' }), /eventId/],
    ['no time', JSON.stringify({ ...event(), occurredAt: 'yesterday' }), /occurredAt/],
  ])('is refused when it is %s', async (_what, body, message) => {
    const { status, body: answer } = await post(body);
    expect(status).toBe(400);
    expect(answer.error).toMatch(message);
  });

  it('may not be large', async () => {
    expect((await post(JSON.stringify(event({ data: 'x'.repeat(66_000) })))).status).toBe(413);
  });
});

it('forgets the ids of the indexer after thirty days', async () => {
  const { db } = app().services;
  await db.query(
    `UPDATE inbox_deliveries SET processed_at = now() - interval '31 days' WHERE processed_at IS NOT NULL`,
  );
  expect(await app().inbox.forgetProcessed()).toBe(false);
  expect(await db.query('SELECT 1 FROM inbox_deliveries WHERE processed_at IS NOT NULL')).toEqual([]);
});

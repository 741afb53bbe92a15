import { expect, it } from 'vitest';
import { startTestApp } from '../support/app.ts';

const query = new URLSearchParams({ query: '{ viewer { roles } }' }).toString();

/** What a page of an origin gets when it posts without asking first, as a form could. */
async function post(url: string, origin: string | undefined) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...(origin !== undefined && { origin }) },
    body: query,
  });
  return { status: response.status, body: await response.json() };
}

it('refuses what a page of another origin posts, and takes it from its own and from no page at all', async () => {
  const app = await startTestApp();
  const own = new URL(app.url).origin;
  const refused = {
    status: 403,
    body: {
      errors: [
        {
          message: 'Pages of this origin may not call this server.',
          extensions: { code: 'FORBIDDEN' },
        },
      ],
    },
  };
  for (const origin of ['https://evil.example', 'null', `${own}1`]) {
    expect(await post(app.url, origin)).toEqual(refused);
    expect(await post(`${own}/dev/token`, origin)).toEqual(refused);
  }
  for (const origin of [own, undefined])
    expect(await post(app.url, origin)).toMatchObject({ status: 200, body: { data: { viewer: null } } });
});

it('takes what a page of an allowed origin posts', async () => {
  const app = await startTestApp({ ALLOWED_ORIGINS: 'https://app.example' });
  expect((await post(app.url, 'https://app.example')).status).toBe(200);
  expect((await post(app.url, 'https://evil.example')).status).toBe(403);
});

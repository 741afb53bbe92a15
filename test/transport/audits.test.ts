import { serverAudits } from 'graphql-http';
import { describe, expect, it } from 'vitest';
import { useTestApp } from '../support/app.ts';

const app = useTestApp();
const audits = serverAudits({ url: () => app().url });

describe('GraphQL over HTTP, by the audits of graphql-http', () => {
  it('has 61 of them', () => {
    expect(audits).toHaveLength(61);
  });

  it.each(audits)('$id $name', async (audit) => {
    const { response: _, ...result } = { response: undefined, ...(await audit.fn()) };
    expect(result).toMatchObject({ status: 'ok' });
  });
});

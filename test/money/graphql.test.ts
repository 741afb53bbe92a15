import { expect, it } from 'vitest';
import { useTestApp } from '../support/app.ts';
import { createJob, openSession } from '../support/operations.ts';

const app = useTestApp({ AGENT: 'external' });

const fields = `id paymentHash bolt11 amountSats receivedSats memo state expiresAt paidAt`;
const invoiceQuery = `query ($paymentHash: ID!) { invoice(paymentHash: $paymentHash) { ${fields} } }`;
const nodeQuery = `query ($id: ID!) { node(id: $id) { id ... on Invoice { ${fields} } } }`;
const stubPay = `mutation ($paymentHash: ID!) { stubPay(paymentHash: $paymentHash) { ${fields} } }`;

it('shows an invoice to its owner, by payment hash and by id', async () => {
  const { session, as } = await openSession(app(), 500);
  const { paymentHash, bolt11 } = session.depositInvoice;
  const { invoice } = await app().ask(invoiceQuery, { paymentHash }, as);
  expect(invoice).toEqual({
    id: expect.stringMatching(/^inv_[\w-]{22}$/),
    paymentHash,
    bolt11,
    amountSats: 500,
    receivedSats: null,
    memo: `Deposit of ${session.id}`,
    state: 'OPEN',
    expiresAt: expect.stringMatching(/^\d{4}-.*Z$/),
    paidAt: null,
  });
  expect(await app().ask(nodeQuery, { id: invoice.id }, as)).toEqual({ node: invoice });
});

it('shows it to nobody else, and tells nothing about what exists', async () => {
  const { session, as } = await openSession(app(), 500);
  const { paymentHash } = session.depositInvoice;
  const { invoice } = await app().ask(invoiceQuery, { paymentHash }, as);
  const stranger = { token: await app().token('a stranger') };
  const foreign = await app().send(invoiceQuery, { paymentHash }, stranger);
  expect(foreign.errors).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }]);
  expect(await app().send(invoiceQuery, { paymentHash: '0'.repeat(64) }, stranger)).toEqual(foreign);
  expect(await app().send(invoiceQuery, { paymentHash: 'not a hash' }, stranger)).toEqual(foreign);
  const foreignNode = await app().send(nodeQuery, { id: invoice.id }, stranger);
  expect(foreignNode.errors).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }]);
  expect(await app().send(nodeQuery, { id: 'inv_AAAAAAAAAAAAAAAAAAAAAA' }, stranger)).toEqual(foreignNode);
  expect((await app().send(invoiceQuery, { paymentHash })).errors).toMatchObject([
    { extensions: { code: 'UNAUTHENTICATED' } },
  ]);
});

it('shows it to SERVICE and to ADMIN', async () => {
  const { session } = await openSession(app(), 500);
  const { paymentHash } = session.depositInvoice;
  for (const role of ['SERVICE', 'ADMIN']) {
    const token = await app().token(`a ${role}`, [role]);
    const { invoice } = await app().ask(invoiceQuery, { paymentHash }, { token });
    expect(invoice).toMatchObject({ paymentHash, state: 'OPEN' });
  }
});

it('lets anyone pay in stub mode, once', async () => {
  const { job } = await createJob(app(), 'Count.');
  const { paymentHash } = job.evalInvoice;
  const { stubPay: paid } = await app().ask(stubPay, { paymentHash });
  expect(paid).toMatchObject({ paymentHash, state: 'PAID', amountSats: 10, receivedSats: 10 });
  expect(Date.parse(paid.paidAt)).toBeGreaterThan(Date.now() - 60_000);
  expect(await app().ask(stubPay, { paymentHash })).toEqual({ stubPay: paid });
  const unknown = await app().send(stubPay, { paymentHash: '0'.repeat(64) });
  expect(unknown.errors).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }]);
});

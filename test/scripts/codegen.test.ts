import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSchema } from 'graphql';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { typedDocuments } from '../../codegen.ts';

const schema = buildSchema(`
  scalar Sats
  scalar DateTime
  scalar Cursor
  enum State { OPEN PAID }
  type Invoice { id: ID!, amountSats: Sats!, state: State!, paidAt: DateTime, cursor: Cursor! }
  type Query { invoice(id: ID!, at: Cursor): Invoice }
`);

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'satwire-operations-'));
});
afterEach(() => rm(folder, { recursive: true }));

it('types operations by the scalars of the contract', async () => {
  await writeFile(join(folder, 'notes.md'), 'not an operation');
  await writeFile(
    join(folder, 'invoice.graphql'),
    'query ReadInvoice($id: ID!) { invoice(id: $id) { id amountSats state paidAt cursor } }',
  );
  const source = await typedDocuments(schema, folder);
  expect(source).toContain('export type ReadInvoiceQueryVariables = Exact<{\n  id: string;\n}>;');
  expect(source).toContain(
    'invoice: { id: string, amountSats: number, state: State, paidAt: string | null, cursor: string } | null',
  );
  expect(source).toMatch(/export type State =\s+\| 'OPEN'\s+\| 'PAID'/);
  expect(source).toMatch(/export const ReadInvoiceDocument = .* DocumentNode<ReadInvoiceQuery, /);
  expect(source).not.toMatch(/^import (?!type)/m);
});

it('refuses an operation that does not fit the schema', async () => {
  await writeFile(join(folder, 'wrong.graphql'), 'query Wrong { invoice(id: "1") { colour } }');
  await expect(typedDocuments(schema, folder)).rejects.toThrow(/Cannot query field "colour"/);
});

import SchemaBuilder from '@pothos/core';
import {
  buildSchema as buildFromSdl,
  type GraphQLSchema,
  isEnumType,
  isInterfaceType,
  isObjectType,
  isScalarType,
} from 'graphql';
import { describe, expect, it } from 'vitest';
import { buildSchema } from '../../src/graphql/schema.ts';
import { useTestApp } from '../support/app.ts';
import { openSocket } from '../support/raw-socket.ts';
import { openStream } from '../support/raw-sse.ts';
import {
  fieldsWithoutRule,
  rootFields,
  smallestOperation,
  typesWithField,
  undescribed,
} from '../support/schema-rules.ts';

const schema = buildSchema();

/** The names of step 1 that other people's programs use. */
const fixed: Readonly<Record<string, string>> = {
  Event: 'id cursor occurredAt',
  Invoice: 'paymentHash bolt11 amountSats state',
  Job: 'cursor',
  AgentJob: 'state evalInvoice workInvoice result cursor',
  JobEvent: 'id cursor occurredAt job',
  JobSnapshot: 'id cursor occurredAt job reason',
  JobPaymentConfirmed: 'id cursor occurredAt job state invoice',
  JobEvaluated: 'id cursor occurredAt job state workInvoice',
  JobWorkStarted: 'id cursor occurredAt job state',
  JobCompleted: 'id cursor occurredAt job result',
  JobRejected: 'id cursor occurredAt job reason',
  JobFailed: 'id cursor occurredAt job reason',
  JobExpired: 'id cursor occurredAt job reason',
  Session: 'state balanceSats depositInvoice cursor',
  SessionEvent: 'id cursor occurredAt session',
  SessionSnapshot: 'id cursor occurredAt session reason',
  SessionActivated: 'id cursor occurredAt session balanceSats',
  SessionDebited: 'id cursor occurredAt session debitedSats balanceAfter memo',
  SessionToppedUp: 'id cursor occurredAt session creditedSats balanceAfter',
  Query: 'viewer node job session',
  Mutation: 'createJob openSession topUpSession debitSession closeSession stubPay',
  Subscription: 'jobUpdated agentJobReady sessionUpdated sessionDebited activity',
  CreateJobPayload: 'job accessToken',
  OpenSessionPayload: 'session accessToken',
  TopUpSessionPayload: 'session invoice',
  CloseSessionPayload: 'session',
  CreateTicketPayload: 'ticket expiresAt',
  CreateJobInput: 'prompt idempotencyKey',
  OpenSessionInput: 'depositSats idempotencyKey',
  TopUpSessionInput: 'sessionId amountSats idempotencyKey',
  DebitSessionInput: 'sessionId amountSats memo idempotencyKey',
  CloseSessionInput: 'sessionId idempotencyKey',
  AgentJobState:
    'AWAITING_EVAL_PAYMENT EVALUATING AWAITING_WORK_PAYMENT EXECUTING COMPLETE REJECTED FAILED EXPIRED',
  SessionState: 'AWAITING_PAYMENT ACTIVE PAUSED EXPIRED CLOSED',
  InvoiceState: 'OPEN PAID EXPIRED CANCELLED',
  SnapshotReason: 'SUBSCRIBED GAP',
  Role: 'USER SERVICE ADMIN',
};

/** The arguments of root fields (by name), and the type of each field, as they are fixed. */
const fixedSignatures: Readonly<Record<string, string>> = {
  'Query.viewer': '(): Viewer',
  'Query.node': '(id: ID!): Node',
  'Query.job': '(id: ID!): Job',
  'Query.session': '(id: ID!): Session',
  'Mutation.createJob': '(input: CreateJobInput!): CreateJobPayload!',
  'Mutation.openSession': '(input: OpenSessionInput!): OpenSessionPayload!',
  'Mutation.topUpSession': '(input: TopUpSessionInput!): TopUpSessionPayload!',
  'Mutation.debitSession': '(input: DebitSessionInput!): Session!',
  'Mutation.closeSession': '(input: CloseSessionInput!): CloseSessionPayload!',
  'Mutation.stubPay': '(paymentHash: ID!): Invoice!',
  'Subscription.jobUpdated': '(after: Cursor, id: ID!): JobEvent!',
  'Subscription.agentJobReady': '(after: Cursor): JobEvent!',
  'Subscription.sessionUpdated': '(after: Cursor, id: ID!): SessionEvent!',
  'Subscription.sessionDebited': '(after: Cursor, id: ID!): SessionDebited!',
  'Subscription.activity': '(after: Cursor): Event!',
};

function namesIn(built: GraphQLSchema, typeName: string): string[] {
  const type = built.getType(typeName);
  if (isEnumType(type)) return type.getValues().map(({ name }) => name);
  return type && 'getFields' in type ? Object.keys(type.getFields()) : [];
}

describe('the contract', () => {
  it.each(Object.entries(fixed))('has the fixed names of %s', (typeName, names) => {
    expect(namesIn(schema, typeName)).toEqual(expect.arrayContaining(names.split(' ')));
  });

  it.each(Object.entries(fixedSignatures))('has the fixed signature of %s', (coordinate, signature) => {
    const [typeName, fieldName] = coordinate.split('.') as [string, string];
    const type = schema.getType(typeName);
    const field = isObjectType(type) ? type.getFields()[fieldName] : undefined;
    const args = field?.args
      .map(({ name, type: of }) => `${name}: ${of}`)
      .sort()
      .join(', ');
    expect(`(${args}): ${field?.type}`).toBe(signature);
  });

  it.each(['Sats', 'DateTime', 'Cursor'])('has the scalar %s', (name) => {
    expect(isScalarType(schema.getType(name))).toBe(true);
  });

  it('has the fixed interfaces', () => {
    const interfaces = (name: string) => {
      const type = schema.getType(name);
      return isObjectType(type) || isInterfaceType(type) ? type.getInterfaces().map(String).sort() : [];
    };
    expect(interfaces('AgentJob')).toEqual(['Job', 'Node']);
    expect(interfaces('Session')).toEqual(['Node']);
    expect(interfaces('JobEvent')).toEqual(['Event']);
    expect(interfaces('SessionEvent')).toEqual(['Event']);
    for (const name of Object.keys(fixed).filter(
      (type) => /^Job[A-Z]\w+[dt]$/.test(type) && type !== 'JobEvent',
    ))
      expect([name, interfaces(name)]).toEqual([name, ['Event', 'JobEvent']]);
    for (const name of Object.keys(fixed).filter((type) => /^Session\w+(ed|Up|Snapshot)$/.test(type)))
      expect([name, interfaces(name)]).toEqual([name, ['Event', 'SessionEvent']]);
  });

  it('describes everything', () => {
    expect(undescribed(schema)).toEqual([]);
  });

  it('is checked by something that notices what lacks a description', () => {
    const small = buildFromSdl(`
      directive @bare on FIELD
      "Described." enum Colour { RED "Blue." BLUE }
      "Described." input Paint { colour: Colour "How much." amount: Int }
      type Query { "Described." wall(paint: Paint, "How often." times: Int): Colour house: Int }
    `);
    expect(undescribed(small).sort()).toEqual([
      '@bare',
      'Colour.RED',
      'Paint.colour',
      'Query',
      'Query.house',
      'Query.wall(paint:)',
    ]);
  });
});

describe('authorization', () => {
  const app = useTestApp();
  const fields = rootFields(schema);

  it('has a rule for every root field', () => {
    expect(fields.length).toBeGreaterThan(20);
    expect(fieldsWithoutRule(schema)).toEqual([]);
    expect(new Set(fields.map(({ scope }) => scope))).toEqual(
      new Set(['anyone', 'credentials', 'user', 'service', 'admin']),
    );
  });

  it('is checked by something that notices what lacks a rule', () => {
    const builder = new SchemaBuilder<object>({ scopeAuth: { authScopes: () => ({}) } });
    const ruled = (authScopes?: object) => ({ ...(authScopes && { authScopes }), resolve: () => true });
    builder.queryType({
      fields: (t) => ({
        ruled: t.boolean(ruled({ anyone: true })),
        bare: t.boolean(ruled()),
        empty: t.boolean(ruled({})),
        refused: t.boolean(ruled({ anyone: false })),
        muddled: t.boolean(ruled({ anyone: true, admin: true })),
      }),
    });
    builder.subscriptionType({
      fields: (t) => ({ bare: t.boolean({ ...ruled(), subscribe: async function* () {} }) }),
    });
    expect(fieldsWithoutRule(builder.toSchema()).sort()).toEqual([
      'query bare',
      'query empty',
      'query muddled',
      'query refused',
      'subscription bare',
    ]);
  });

  it('hands out access tokens where something is made, and nowhere else', () => {
    expect(typesWithField(schema, 'accessToken')).toEqual(['CreateJobPayload', 'OpenSessionPayload']);
  });

  const subscriptions = fields.filter(({ kind, scope }) => kind === 'subscription' && scope !== 'anyone');

  it.each(subscriptions)('refuses an anonymous caller when $field.name starts', async (subscription) => {
    const { query, variables } = smallestOperation(subscription);
    const socket = await openSocket(app().webSocketUrl);
    socket.subscribe('one', query, variables);
    const [refusal] = await socket.over('one');
    expect(refusal).toMatchObject({ type: 'error', payload: [{ extensions: { code: 'UNAUTHENTICATED' } }] });
    expect(socket.isOpen).toBe(true);

    const stream = await openStream(app().url, query, variables);
    expect(stream).toMatchObject({ status: 401, contentType: 'application/json; charset=utf-8' });
    expect(JSON.parse(await stream.end())).toMatchObject({
      errors: [{ extensions: { code: 'UNAUTHENTICATED' } }],
    });
    expect(app().hub.size().members).toBe(1);
  });
});

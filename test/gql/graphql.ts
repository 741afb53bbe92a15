// Generated from the operations beside this folder: npm run generate
/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
import type { TypedDocumentNode as DocumentNode } from '@graphql-typed-document-node/core';
/** Where an agent job stands. */
export type AgentJobState =
  /** The evaluation waits to be paid. */
  | 'AWAITING_EVAL_PAYMENT'
  /** The agent has named its price; the work waits to be paid. */
  | 'AWAITING_WORK_PAYMENT'
  /** Done: there is a result. */
  | 'COMPLETE'
  /** The agent decides whether it takes the job on. */
  | 'EVALUATING'
  /** The agent works. */
  | 'EXECUTING'
  /** An invoice was not paid in time. */
  | 'EXPIRED'
  /** The agent gave up. The price of the work went back to the owner. */
  | 'FAILED'
  /** The agent does not take it on. */
  | 'REJECTED';

/** Which session is closed. */
export type CloseSessionInput = {
  /** Random, 16 to 128 characters (a UUID): the same key and input do nothing again and give the same answer. Another input: CONFLICT. */
  idempotencyKey: string;
  /** The id of the session. */
  sessionId: string;
};

/** A new job. */
export type CreateJobInput = {
  /** Random, 16 to 128 characters (a UUID): the same key and input do nothing again and give the same answer. Another input: CONFLICT. */
  idempotencyKey: string;
  /** What is to be done; 1 to 10,000 characters. */
  prompt: string;
};

/** What is taken from a session. */
export type DebitSessionInput = {
  /** How much; sats, at least 1. */
  amountSats: number;
  /** Random, 16 to 128 characters (a UUID): the same key and input do nothing again and give the same answer. Another input: CONFLICT. */
  idempotencyKey: string;
  /** What it is for; up to 640 characters, shown to the owner. */
  memo?: string | null | undefined;
  /** The id of the session. */
  sessionId: string;
};

/** Where an invoice stands. */
export type InvoiceState =
  /** It is no longer wanted. What is paid on it all the same goes back to the owner. */
  | 'CANCELLED'
  /** Its time was up, and the Lightning node said after that that it was not paid. */
  | 'EXPIRED'
  /** It can be paid. */
  | 'OPEN'
  /** It was paid, and the payment is booked. */
  | 'PAID';

/** A new session. */
export type OpenSessionInput = {
  /** The first deposit; sats, 100 to 10,000 unless configured otherwise. */
  depositSats: number;
  /** Random, 16 to 128 characters (a UUID): the same key and input do nothing again and give the same answer. Another input: CONFLICT. */
  idempotencyKey: string;
};

/** Why sats went back to the owner. */
export type PaymentReturnReason =
  /** It was paid when it was no longer of use: expired, closed, or done. */
  | 'NOT_NEEDED'
  /** More was paid than the invoice asked for. */
  | 'SURPLUS'
  /** The work that it was paid for failed. */
  | 'WORK_FAILED';

/** Where a prepaid session stands. */
export type SessionState =
  /** It can be debited. */
  | 'ACTIVE'
  /** The deposit waits to be paid. */
  | 'AWAITING_PAYMENT'
  /** Its owner has closed it. */
  | 'CLOSED'
  /** It was not paid in time, or not used for too long. */
  | 'EXPIRED'
  /** The balance is below the minimum; a top-up resumes it. */
  | 'PAUSED';

/** Why the present state is sent instead of what led to it. */
export type SnapshotReason =
  /** What lay behind your cursor can no longer be replayed. */
  | 'GAP'
  /** The subscription has begun without `after`. */
  | 'SUBSCRIBED';

/** More for a session. */
export type TopUpSessionInput = {
  /** How much; sats, 1 to the largest deposit. */
  amountSats: number;
  /** Random, 16 to 128 characters (a UUID): the same key and input do nothing again and give the same answer. Another input: CONFLICT. */
  idempotencyKey: string;
  /** The id of the session. */
  sessionId: string;
};

export type CreateTicketMutationVariables = Exact<{ [key: string]: never; }>;


export type CreateTicketMutation = { createTicket: { ticket: string, expiresAt: string } };

export type CreateJobMutationVariables = Exact<{
  input: CreateJobInput;
}>;


export type CreateJobMutation = { createJob: { accessToken: string | null, job: { id: string, state: AgentJobState, cursor: string, evalInvoice: { paymentHash: string, amountSats: number } } } };

export type JobQueryVariables = Exact<{
  id: string;
}>;


export type JobQuery = { job:
    | { state: AgentJobState, result: string | null, id: string, cursor: string }
    | { id: string, cursor: string }
   | null };

export type JobUpdatedSubscriptionVariables = Exact<{
  id: string;
  after?: string | null | undefined;
}>;


export type JobUpdatedSubscription = { jobUpdated:
    | { __typename: 'JobAccepted', id: string, cursor: string, occurredAt: string, job:
        | { state: AgentJobState, id: string }
        | { id: string }
       | null }
    | { __typename: 'JobCancelled', id: string, cursor: string, occurredAt: string, job:
        | { state: AgentJobState, id: string }
        | { id: string }
       | null }
    | { __typename: 'JobChecklistUpdated', id: string, cursor: string, occurredAt: string, job:
        | { state: AgentJobState, id: string }
        | { id: string }
       | null }
    | { __typename: 'JobCompleted', result: string | null, id: string, cursor: string, occurredAt: string, job:
        | { state: AgentJobState, id: string }
        | { id: string }
       | null }
    | { __typename: 'JobEvaluated', state: AgentJobState, id: string, cursor: string, occurredAt: string, workInvoice: { paymentHash: string, amountSats: number }, job:
        | { state: AgentJobState, id: string }
        | { id: string }
       | null }
    | { __typename: 'JobExpired', id: string, cursor: string, occurredAt: string, why: string, job:
        | { state: AgentJobState, id: string }
        | { id: string }
       | null }
    | { __typename: 'JobFailed', id: string, cursor: string, occurredAt: string, why: string, job:
        | { state: AgentJobState, id: string }
        | { id: string }
       | null }
    | { __typename: 'JobPaymentConfirmed', state: AgentJobState, id: string, cursor: string, occurredAt: string, invoice: { paymentHash: string }, job:
        | { state: AgentJobState, id: string }
        | { id: string }
       | null }
    | { __typename: 'JobPaymentReturned', returnedSats: number, id: string, cursor: string, occurredAt: string, returnReason: PaymentReturnReason, job:
        | { state: AgentJobState, id: string }
        | { id: string }
       | null }
    | { __typename: 'JobPosted', id: string, cursor: string, occurredAt: string, job:
        | { state: AgentJobState, id: string }
        | { id: string }
       | null }
    | { __typename: 'JobProgressed', percent: number | null, message: string | null, id: string, cursor: string, occurredAt: string, job:
        | { state: AgentJobState, id: string }
        | { id: string }
       | null }
    | { __typename: 'JobRefunded', id: string, cursor: string, occurredAt: string, job:
        | { state: AgentJobState, id: string }
        | { id: string }
       | null }
    | { __typename: 'JobRejected', id: string, cursor: string, occurredAt: string, why: string, job:
        | { state: AgentJobState, id: string }
        | { id: string }
       | null }
    | { __typename: 'JobSnapshot', reason: SnapshotReason, id: string, cursor: string, occurredAt: string, job:
        | { state: AgentJobState, id: string }
        | { id: string }
       | null }
    | { __typename: 'JobWithdrawn', id: string, cursor: string, occurredAt: string, job:
        | { state: AgentJobState, id: string }
        | { id: string }
       | null }
    | { __typename: 'JobWorkStarted', state: AgentJobState, id: string, cursor: string, occurredAt: string, job:
        | { state: AgentJobState, id: string }
        | { id: string }
       | null }
   };

export type StubPayMutationVariables = Exact<{
  paymentHash: string;
}>;


export type StubPayMutation = { stubPay: { paymentHash: string, state: InvoiceState } };

export type OpenSessionMutationVariables = Exact<{
  input: OpenSessionInput;
}>;


export type OpenSessionMutation = { openSession: { accessToken: string | null, session: { id: string, state: SessionState, cursor: string, depositInvoice: { paymentHash: string, amountSats: number } } } };

export type TopUpSessionMutationVariables = Exact<{
  input: TopUpSessionInput;
}>;


export type TopUpSessionMutation = { topUpSession: { invoice: { paymentHash: string } } };

export type DebitSessionMutationVariables = Exact<{
  input: DebitSessionInput;
}>;


export type DebitSessionMutation = { debitSession: { id: string, state: SessionState, balanceSats: number } };

export type CloseSessionMutationVariables = Exact<{
  input: CloseSessionInput;
}>;


export type CloseSessionMutation = { closeSession: { session: { id: string, state: SessionState, refundableSats: number } } };

export type SessionUpdatedSubscriptionVariables = Exact<{
  id: string;
  after?: string | null | undefined;
}>;


export type SessionUpdatedSubscription = { sessionUpdated:
    | { __typename: 'SessionActivated', balanceSats: number, id: string, cursor: string, occurredAt: string, session: { id: string, state: SessionState, balanceSats: number } | null }
    | { __typename: 'SessionClosed', refundedSats: number, id: string, cursor: string, occurredAt: string, session: { id: string, state: SessionState, balanceSats: number } | null }
    | { __typename: 'SessionDebited', debitedSats: number, balanceAfter: number, memo: string | null, id: string, cursor: string, occurredAt: string, session: { id: string, state: SessionState, balanceSats: number } | null }
    | { __typename: 'SessionExpired', refundedSats: number, id: string, cursor: string, occurredAt: string, session: { id: string, state: SessionState, balanceSats: number } | null }
    | { __typename: 'SessionPaused', balanceSats: number, id: string, cursor: string, occurredAt: string, session: { id: string, state: SessionState, balanceSats: number } | null }
    | { __typename: 'SessionPaymentReturned', returnedSats: number, id: string, cursor: string, occurredAt: string, returnReason: PaymentReturnReason, session: { id: string, state: SessionState, balanceSats: number } | null }
    | { __typename: 'SessionSnapshot', reason: SnapshotReason, id: string, cursor: string, occurredAt: string, session: { id: string, state: SessionState, balanceSats: number } | null }
    | { __typename: 'SessionToppedUp', creditedSats: number, balanceAfter: number, id: string, cursor: string, occurredAt: string, session: { id: string, state: SessionState, balanceSats: number } | null }
   };

export type SessionDebitedSubscriptionVariables = Exact<{
  id: string;
  after?: string | null | undefined;
}>;


export type SessionDebitedSubscription = { sessionDebited: { __typename: 'SessionDebited', cursor: string, debitedSats: number, balanceAfter: number, memo: string | null } };


export const CreateTicketDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"CreateTicket"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"createTicket"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"ticket"}},{"kind":"Field","name":{"kind":"Name","value":"expiresAt"}}]}}]}}]} as unknown as DocumentNode<CreateTicketMutation, CreateTicketMutationVariables>;
export const CreateJobDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"CreateJob"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"CreateJobInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"createJob"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"accessToken"}},{"kind":"Field","name":{"kind":"Name","value":"job"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"state"}},{"kind":"Field","name":{"kind":"Name","value":"cursor"}},{"kind":"Field","name":{"kind":"Name","value":"evalInvoice"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"paymentHash"}},{"kind":"Field","name":{"kind":"Name","value":"amountSats"}}]}}]}}]}}]}}]} as unknown as DocumentNode<CreateJobMutation, CreateJobMutationVariables>;
export const JobDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"Job"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"id"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"ID"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"job"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"id"},"value":{"kind":"Variable","name":{"kind":"Name","value":"id"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"cursor"}},{"kind":"InlineFragment","typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"AgentJob"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"state"}},{"kind":"Field","name":{"kind":"Name","value":"result"}}]}}]}}]}}]} as unknown as DocumentNode<JobQuery, JobQueryVariables>;
export const JobUpdatedDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"subscription","name":{"kind":"Name","value":"JobUpdated"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"id"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"ID"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"after"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"Cursor"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"jobUpdated"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"id"},"value":{"kind":"Variable","name":{"kind":"Name","value":"id"}}},{"kind":"Argument","name":{"kind":"Name","value":"after"},"value":{"kind":"Variable","name":{"kind":"Name","value":"after"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"__typename"}},{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"cursor"}},{"kind":"Field","name":{"kind":"Name","value":"occurredAt"}},{"kind":"Field","name":{"kind":"Name","value":"job"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"InlineFragment","typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"AgentJob"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"state"}}]}}]}},{"kind":"InlineFragment","typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"JobSnapshot"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"reason"}}]}},{"kind":"InlineFragment","typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"JobPaymentConfirmed"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"state"}},{"kind":"Field","name":{"kind":"Name","value":"invoice"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"paymentHash"}}]}}]}},{"kind":"InlineFragment","typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"JobEvaluated"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"state"}},{"kind":"Field","name":{"kind":"Name","value":"workInvoice"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"paymentHash"}},{"kind":"Field","name":{"kind":"Name","value":"amountSats"}}]}}]}},{"kind":"InlineFragment","typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"JobWorkStarted"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"state"}}]}},{"kind":"InlineFragment","typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"JobProgressed"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"percent"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}},{"kind":"InlineFragment","typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"JobCompleted"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"result"}}]}},{"kind":"InlineFragment","typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"JobRejected"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","alias":{"kind":"Name","value":"why"},"name":{"kind":"Name","value":"reason"}}]}},{"kind":"InlineFragment","typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"JobFailed"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","alias":{"kind":"Name","value":"why"},"name":{"kind":"Name","value":"reason"}}]}},{"kind":"InlineFragment","typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"JobExpired"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","alias":{"kind":"Name","value":"why"},"name":{"kind":"Name","value":"reason"}}]}},{"kind":"InlineFragment","typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"JobPaymentReturned"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"returnedSats"}},{"kind":"Field","alias":{"kind":"Name","value":"returnReason"},"name":{"kind":"Name","value":"reason"}}]}}]}}]}}]} as unknown as DocumentNode<JobUpdatedSubscription, JobUpdatedSubscriptionVariables>;
export const StubPayDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"StubPay"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"paymentHash"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"ID"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"stubPay"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"paymentHash"},"value":{"kind":"Variable","name":{"kind":"Name","value":"paymentHash"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"paymentHash"}},{"kind":"Field","name":{"kind":"Name","value":"state"}}]}}]}}]} as unknown as DocumentNode<StubPayMutation, StubPayMutationVariables>;
export const OpenSessionDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"OpenSession"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"OpenSessionInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"openSession"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"accessToken"}},{"kind":"Field","name":{"kind":"Name","value":"session"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"state"}},{"kind":"Field","name":{"kind":"Name","value":"cursor"}},{"kind":"Field","name":{"kind":"Name","value":"depositInvoice"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"paymentHash"}},{"kind":"Field","name":{"kind":"Name","value":"amountSats"}}]}}]}}]}}]}}]} as unknown as DocumentNode<OpenSessionMutation, OpenSessionMutationVariables>;
export const TopUpSessionDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"TopUpSession"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"TopUpSessionInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"topUpSession"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"invoice"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"paymentHash"}}]}}]}}]}}]} as unknown as DocumentNode<TopUpSessionMutation, TopUpSessionMutationVariables>;
export const DebitSessionDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"DebitSession"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"DebitSessionInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"debitSession"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"state"}},{"kind":"Field","name":{"kind":"Name","value":"balanceSats"}}]}}]}}]} as unknown as DocumentNode<DebitSessionMutation, DebitSessionMutationVariables>;
export const CloseSessionDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"CloseSession"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"CloseSessionInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"closeSession"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"session"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"state"}},{"kind":"Field","name":{"kind":"Name","value":"refundableSats"}}]}}]}}]}}]} as unknown as DocumentNode<CloseSessionMutation, CloseSessionMutationVariables>;
export const SessionUpdatedDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"subscription","name":{"kind":"Name","value":"SessionUpdated"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"id"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"ID"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"after"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"Cursor"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"sessionUpdated"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"id"},"value":{"kind":"Variable","name":{"kind":"Name","value":"id"}}},{"kind":"Argument","name":{"kind":"Name","value":"after"},"value":{"kind":"Variable","name":{"kind":"Name","value":"after"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"__typename"}},{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"cursor"}},{"kind":"Field","name":{"kind":"Name","value":"occurredAt"}},{"kind":"Field","name":{"kind":"Name","value":"session"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"state"}},{"kind":"Field","name":{"kind":"Name","value":"balanceSats"}}]}},{"kind":"InlineFragment","typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"SessionSnapshot"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"reason"}}]}},{"kind":"InlineFragment","typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"SessionActivated"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"balanceSats"}}]}},{"kind":"InlineFragment","typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"SessionDebited"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"debitedSats"}},{"kind":"Field","name":{"kind":"Name","value":"balanceAfter"}},{"kind":"Field","name":{"kind":"Name","value":"memo"}}]}},{"kind":"InlineFragment","typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"SessionToppedUp"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"creditedSats"}},{"kind":"Field","name":{"kind":"Name","value":"balanceAfter"}}]}},{"kind":"InlineFragment","typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"SessionPaused"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"balanceSats"}}]}},{"kind":"InlineFragment","typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"SessionClosed"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"refundedSats"}}]}},{"kind":"InlineFragment","typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"SessionExpired"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"refundedSats"}}]}},{"kind":"InlineFragment","typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"SessionPaymentReturned"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"returnedSats"}},{"kind":"Field","alias":{"kind":"Name","value":"returnReason"},"name":{"kind":"Name","value":"reason"}}]}}]}}]}}]} as unknown as DocumentNode<SessionUpdatedSubscription, SessionUpdatedSubscriptionVariables>;
export const SessionDebitedDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"subscription","name":{"kind":"Name","value":"SessionDebited"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"id"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"ID"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"after"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"Cursor"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"sessionDebited"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"id"},"value":{"kind":"Variable","name":{"kind":"Name","value":"id"}}},{"kind":"Argument","name":{"kind":"Name","value":"after"},"value":{"kind":"Variable","name":{"kind":"Name","value":"after"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"__typename"}},{"kind":"Field","name":{"kind":"Name","value":"cursor"}},{"kind":"Field","name":{"kind":"Name","value":"debitedSats"}},{"kind":"Field","name":{"kind":"Name","value":"balanceAfter"}},{"kind":"Field","name":{"kind":"Name","value":"memo"}}]}}]}}]} as unknown as DocumentNode<SessionDebitedSubscription, SessionDebitedSubscriptionVariables>;

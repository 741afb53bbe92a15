/** What an invoice of the model is for. */
export type ModelInvoiceKind = 'eval' | 'work' | 'deposit' | 'topUp';

export interface ModelInvoice {
  readonly paymentHash: string;
  readonly kind: ModelInvoiceKind;
  readonly amount: number;
  readonly expiresAt: number;
  state: 'OPEN' | 'PAID' | 'EXPIRED' | 'CANCELLED';
  /** What the node has received and the server does not know of. */
  unheard?: number;
}

/** What the model expects to be told of an object: the event's type and its facts. */
export type ModelEvent = readonly [type: string, facts: Record<string, unknown>];

/** How the stub agent deals with a job. */
export type Fate = 'COMPLETE' | 'REJECTED' | 'FAILED';

interface ModelObject {
  readonly id: string;
  /** Where what is returned goes. */
  readonly purse: Purse;
  readonly invoices: ModelInvoice[];
  readonly events: ModelEvent[];
}

export interface ModelJob extends ModelObject {
  readonly type: 'job';
  readonly fate: Fate;
  state: string;
}

export interface ModelSession extends ModelObject {
  readonly type: 'session';
  state: string;
  balance: number;
  /** When it expires; absent before the deposit and after the end. */
  idleEnd: number | undefined;
}

/** The wallet of a user, or the refundable balance of an object. */
export interface Purse {
  sats: number;
}

/** Prices and limits that the model is told; sats and ms. */
export interface ModelLimits {
  readonly evalPrice: number;
  readonly workPrice: number;
  readonly minimum: number;
  readonly idleMs: number;
}

/** What jobs and sessions are, in plain arithmetic and one thing after another: what a server must agree with. */
export function createMoneyModel({ evalPrice, workPrice, minimum, idleMs }: ModelLimits) {
  const model = { revenue: 0 };

  function giveBack(object: ModelObject, prefix: 'Job' | 'Session', sats: number, reason: string): void {
    if (sats === 0) return;
    object.purse.sats += sats;
    object.events.push([`${prefix}PaymentReturned`, { returnedSats: sats, reason }]);
  }

  /** The server comes to know that an invoice of a job was paid. */
  function jobPaid(job: ModelJob, invoice: ModelInvoice, received: number): void {
    const awaited = invoice.kind === 'eval' ? 'AWAITING_EVAL_PAYMENT' : 'AWAITING_WORK_PAYMENT';
    if (job.state !== awaited) {
      giveBack(job, 'Job', received, 'NOT_NEEDED');
      return;
    }
    job.events.push(['JobPaymentConfirmed', { invoice: invoice.paymentHash }]);
    if (invoice.kind === 'work') job.events.push(['JobWorkStarted', {}]);
    giveBack(job, 'Job', received - invoice.amount, 'SURPLUS');
    if (invoice.kind === 'eval') {
      model.revenue += evalPrice;
      job.state = job.fate === 'REJECTED' ? 'REJECTED' : 'AWAITING_WORK_PAYMENT';
      job.events.push([job.fate === 'REJECTED' ? 'JobRejected' : 'JobEvaluated', {}]);
      return;
    }
    job.state = job.fate;
    job.events.push([job.fate === 'COMPLETE' ? 'JobCompleted' : 'JobFailed', {}]);
    if (job.fate === 'COMPLETE') model.revenue += workPrice;
    else giveBack(job, 'Job', workPrice, 'WORK_FAILED');
  }

  /** The server comes to know that an invoice of a session was paid. */
  function sessionPaid(session: ModelSession, invoice: ModelInvoice, received: number, now: number): void {
    const awaited = invoice.kind === 'deposit' ? ['AWAITING_PAYMENT'] : ['ACTIVE', 'PAUSED'];
    if (!awaited.includes(session.state)) {
      giveBack(session, 'Session', received, 'NOT_NEEDED');
      return;
    }
    session.balance += invoice.amount;
    session.idleEnd = now + idleMs;
    if (session.state !== 'PAUSED' || session.balance >= minimum) session.state = 'ACTIVE';
    session.events.push(
      invoice.kind === 'deposit'
        ? ['SessionActivated', { balanceSats: invoice.amount }]
        : ['SessionToppedUp', { creditedSats: invoice.amount, balanceAfter: session.balance }],
    );
    giveBack(session, 'Session', received - invoice.amount, 'SURPLUS');
  }

  function end(session: ModelSession, state: 'CLOSED' | 'EXPIRED'): void {
    session.events.push([
      state === 'CLOSED' ? 'SessionClosed' : 'SessionExpired',
      { refundedSats: session.balance },
    ]);
    session.purse.sats += session.balance;
    session.balance = 0;
    session.state = state;
    session.idleEnd = undefined;
  }

  return {
    /** What the platform has earned; sats. */
    get revenue() {
      return model.revenue;
    },

    /** The server comes to know that an invoice was paid; what the node knew before counts. */
    paid(object: ModelJob | ModelSession, invoice: ModelInvoice, sats: number, now: number): void {
      if (invoice.state === 'PAID') return;
      invoice.state = 'PAID';
      const received = invoice.unheard ?? sats;
      delete invoice.unheard;
      if (object.type === 'job') jobPaid(object, invoice, received);
      else sessionPaid(object, invoice, received, now);
    },

    /** An invoice's time is up, and nobody has paid it. */
    expired(object: ModelJob | ModelSession, invoice: ModelInvoice): void {
      invoice.state = 'EXPIRED';
      if (object.type === 'job') {
        object.state = 'EXPIRED';
        object.events.push(['JobExpired', {}]);
      } else if (invoice.kind === 'deposit') end(object, 'EXPIRED');
    },

    /** A session's time is up. */
    idle: (session: ModelSession) => end(session, 'EXPIRED'),

    /** @returns the code with which a debit is refused; nothing when it is done. */
    debit(session: ModelSession, sats: number, now: number): string | undefined {
      if (session.state === 'PAUSED') return 'INSUFFICIENT_FUNDS';
      if (session.state !== 'ACTIVE') return 'CONFLICT';
      if (sats > session.balance) return 'INSUFFICIENT_FUNDS';
      session.balance -= sats;
      session.idleEnd = now + idleMs;
      model.revenue += sats;
      session.events.push(['SessionDebited', { debitedSats: sats, balanceAfter: session.balance }]);
      if (session.balance < minimum) {
        session.state = 'PAUSED';
        session.events.push(['SessionPaused', { balanceSats: session.balance }]);
      }
      return undefined;
    },

    /** @returns the code with which closing is refused; nothing when it is done. */
    close(session: ModelSession): string | undefined {
      if (session.state === 'EXPIRED' || session.state === 'CLOSED') return 'CONFLICT';
      end(session, 'CLOSED');
      for (const invoice of session.invoices) if (invoice.state === 'OPEN') invoice.state = 'CANCELLED';
      return undefined;
    },

    /** Whether a top-up can be asked for. */
    takesTopUps: ({ state }: ModelSession) => state === 'ACTIVE' || state === 'PAUSED',
  };
}

/** What goes wrong; a test switches it while the fake runs. Nothing does at first. */
export interface LnbitsFaults {
  /** Nothing is sent through a WebSocket when a payment comes. */
  noPush: boolean;
  /** No webhook is sent. */
  noWebhook: boolean;
  /** WebSockets are refused, with status 403. */
  refuseSockets: boolean;
  /** How requests are answered; `backend` answers a look-up as unpaid, and makes no invoice. */
  answers: LnbitsAnswers;
  /** How long each answer is held back; ms. */
  delayMs: number;
  /** What becomes of payments that it is asked to make; `untold` loses its answer, `forgotten` leaves no trace. */
  payments: 'paid' | 'pending' | 'failed' | 'untold' | 'forgotten';
  /** What is wrong with the invoices that are made. */
  invoices: 'sound' | 'withoutRequest' | 'otherAmount' | 'otherHash' | 'unreadable';
}

/**
 * `backend`: the node behind LNbits does not answer it. `error`: status 520. `limited`: status 429, as of the 201st
 * request within a minute. `hang`: no answer. `stall`: half an answer, and no more. `truncated`: half an answer, and
 * it ends. `cut`: half an answer, and the connection breaks. `oversized`: an answer without an end.
 */
export type LnbitsAnswers =
  | 'sound'
  | 'backend'
  | 'error'
  | 'limited'
  | 'html'
  | 'redirect'
  | 'hang'
  | 'stall'
  | 'truncated'
  | 'cut'
  | 'oversized';

export function noFaults(): LnbitsFaults {
  return {
    noPush: false,
    noWebhook: false,
    refuseSockets: false,
    answers: 'sound',
    delayMs: 0,
    payments: 'paid',
    invoices: 'sound',
  };
}

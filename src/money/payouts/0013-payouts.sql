-- At most one payout per payment hash, ever; who asked for it is a user, or the owner of one object.
CREATE TABLE payouts (
  id text PRIMARY KEY,
  payment_hash text NOT NULL UNIQUE,
  bolt11 text NOT NULL,
  owner_user text,
  object_id text NOT NULL,
  amount_sats bigint NOT NULL CHECK (amount_sats > 0),
  -- What is held for the fee while it is pending, then what the fee was.
  fee_sats bigint NOT NULL CHECK (fee_sats >= 0),
  state text NOT NULL,
  failure_reason text,
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  -- Set before it is sent: from then on it is only looked up.
  sent_at timestamptz,
  settled_at timestamptz
);
CREATE INDEX payouts_owner ON payouts (owner_user, created_at, id);

-- Paid out of an account here: the Lightning node can still take another payment of it.
ALTER TABLE invoices ADD COLUMN paid_inside boolean NOT NULL DEFAULT false;

-- What the stub Lightning backend has paid; a real one keeps this itself.
CREATE TABLE stub_payments (
  payment_hash text PRIMARY KEY,
  amount_msats bigint NOT NULL,
  fee_msats bigint NOT NULL,
  paid_at timestamptz NOT NULL
);

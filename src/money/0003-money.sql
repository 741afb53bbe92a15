-- Every sat moves by a transfer between two accounts.
CREATE TABLE transfers (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key text NOT NULL UNIQUE,
  from_account text NOT NULL,
  to_account text NOT NULL CHECK (to_account <> from_account),
  amount_sats bigint NOT NULL CHECK (amount_sats > 0),
  reason text NOT NULL,
  occurred_at timestamptz NOT NULL
);
CREATE INDEX transfers_from ON transfers (from_account, id);
CREATE INDEX transfers_to ON transfers (to_account, id);

-- Accounts that must not go below zero hold their balance here.
CREATE TABLE balances (
  account text PRIMARY KEY,
  balance_sats bigint NOT NULL CONSTRAINT balance_not_negative CHECK (balance_sats >= 0)
);

-- Accounts that only collect hold none: their balance is a folded sum and what was not folded yet.
CREATE TABLE collected_sums (
  account text PRIMARY KEY,
  sum_sats numeric NOT NULL
);
CREATE TABLE collected_changes (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  account text NOT NULL,
  change_sats bigint NOT NULL
);
CREATE INDEX collected_changes_account ON collected_changes (account, id);

CREATE TABLE invoices (
  payment_hash text PRIMARY KEY,
  id text NOT NULL UNIQUE,
  bolt11 text NOT NULL,
  amount_sats bigint NOT NULL CHECK (amount_sats > 0),
  received_sats bigint,
  memo text NOT NULL,
  state text NOT NULL,
  kind text NOT NULL,
  object_id text NOT NULL,
  owner_user text,
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  paid_at timestamptz
);
CREATE INDEX invoices_object ON invoices (object_id, created_at, id);

-- What the stub Lightning backend knows; a real one keeps this itself.
CREATE TABLE stub_invoices (
  payment_hash text PRIMARY KEY,
  received_sats bigint,
  paid_at timestamptz
);

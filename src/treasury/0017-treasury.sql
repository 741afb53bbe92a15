-- Who decides about the treasury, and how many of them it takes.
CREATE TABLE treasury_rules (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  threshold int NOT NULL,
  timelock_seconds int NOT NULL
);
INSERT INTO treasury_rules (threshold, timelock_seconds) VALUES (1, 0);
CREATE TABLE treasury_members (
  user_id text PRIMARY KEY,
  position int NOT NULL
);

CREATE TABLE proposals (
  id text PRIMARY KEY,
  origin text NOT NULL,
  -- Users; of a mirrored proposal, principals.
  proposer text NOT NULL,
  recipient text NOT NULL,
  amount_sats bigint NOT NULL CHECK (amount_sats > 0),
  description text NOT NULL,
  state text NOT NULL,
  threshold int NOT NULL,
  timelock_seconds int NOT NULL DEFAULT 0,
  timelock_until timestamptz,
  expires_at timestamptz,
  -- Which proposal of the chain it mirrors.
  chain_key text UNIQUE,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL
);
CREATE INDEX proposals_created ON proposals (created_at, id);
CREATE INDEX proposals_origin ON proposals (origin, created_at, id);

CREATE TABLE proposal_approvals (
  proposal_id text NOT NULL,
  approver text NOT NULL,
  approved_at timestamptz NOT NULL,
  PRIMARY KEY (proposal_id, approver)
);

-- What the canonical chain says of the balances of its treasuries: the last that is stated, and what has changed since.
CREATE TABLE chain_treasuries (contract text PRIMARY KEY);
CREATE TABLE chain_balances (
  chain_key text PRIMARY KEY,
  contract text NOT NULL REFERENCES chain_treasuries,
  height bigint NOT NULL,
  tx_index int NOT NULL,
  event_index int NOT NULL,
  balance_sats bigint,
  change_sats bigint,
  CHECK ((balance_sats IS NULL) <> (change_sats IS NULL))
);
CREATE INDEX chain_balances_stated ON chain_balances (contract, height, tx_index, event_index)
  WHERE balance_sats IS NOT NULL;
CREATE INDEX chain_balances_changes ON chain_balances (contract, height, tx_index, event_index)
  WHERE change_sats IS NOT NULL;

-- Who a token's subject is to others: the subject itself never leaves.
CREATE TABLE users (
  id text PRIMARY KEY,
  subject text NOT NULL UNIQUE,
  tokens_valid_from timestamptz NOT NULL DEFAULT 'epoch',
  created_at timestamptz NOT NULL
);

-- Bearer capabilities of anonymous owners, each for one object.
CREATE TABLE access_tokens (
  token_hash text PRIMARY KEY,
  object_id text NOT NULL
);

CREATE TABLE revoked_tokens (
  token_id text PRIMARY KEY,
  expires_at timestamptz NOT NULL
);

CREATE TABLE tickets (
  ticket_hash text PRIMARY KEY,
  viewer jsonb NOT NULL,
  bound_to text,
  expires_at timestamptz NOT NULL
);
CREATE INDEX tickets_expiry ON tickets (expires_at);

CREATE TABLE idempotency_keys (
  caller text NOT NULL,
  mutation text NOT NULL,
  key text NOT NULL,
  input_hash text NOT NULL,
  result jsonb NOT NULL,
  expires_at timestamptz,
  PRIMARY KEY (caller, mutation, key)
);
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);

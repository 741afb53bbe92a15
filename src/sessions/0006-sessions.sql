CREATE TABLE sessions (
  id text PRIMARY KEY,
  owner_user text,
  state text NOT NULL,
  deposit_invoice text NOT NULL,
  expires_at timestamptz,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL
);
CREATE INDEX sessions_owner ON sessions (owner_user, created_at, id);

-- Where the Lightning node may say that an invoice was paid, and when it was last said.
ALTER TABLE invoices ADD COLUMN webhook_hash text;
ALTER TABLE invoices ADD COLUMN hinted_at timestamptz;
CREATE UNIQUE INDEX invoices_webhook ON invoices (webhook_hash);

-- What matters of an invoice only while it is open: when to ask for it, and whom it counts against.
CREATE TABLE open_invoices (
  payment_hash text PRIMARY KEY,
  caller text,
  address text,
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  hinted_at timestamptz,
  next_poll_at timestamptz NOT NULL
);
CREATE INDEX open_invoices_poll ON open_invoices (next_poll_at);
CREATE INDEX open_invoices_caller ON open_invoices (caller);
CREATE INDEX open_invoices_address ON open_invoices (address);
INSERT INTO open_invoices (payment_hash, created_at, expires_at, next_poll_at)
SELECT payment_hash, created_at, expires_at, created_at FROM invoices WHERE state = 'OPEN';

-- What is to be done at some time, whatever happens to the process: due times, leases, attempts.
CREATE TABLE work (
  kind text NOT NULL,
  key text NOT NULL,
  due_at timestamptz NOT NULL,
  attempts int NOT NULL DEFAULT 0,
  holder text,
  leased_until timestamptz,
  PRIMARY KEY (kind, key)
);
CREATE INDEX work_due ON work (kind, due_at);

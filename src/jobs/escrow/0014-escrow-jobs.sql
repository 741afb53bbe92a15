CREATE TABLE escrow_jobs (
  id text PRIMARY KEY,
  employer text NOT NULL,
  worker text,
  state text NOT NULL,
  title text NOT NULL,
  job_type text,
  pay_sats bigint NOT NULL CHECK (pay_sats > 0),
  -- For display only.
  pay_amount_usd double precision,
  deadline timestamptz NOT NULL,
  -- [{"id", "text", "completed"}]
  checklist jsonb NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  CONSTRAINT escrow_job_worker CHECK (worker IS NULL OR worker <> employer)
);
CREATE INDEX escrow_jobs_employer ON escrow_jobs (employer, created_at, id);
CREATE INDEX escrow_jobs_worker ON escrow_jobs (worker, created_at, id) WHERE worker IS NOT NULL;
CREATE INDEX escrow_jobs_state ON escrow_jobs (state, created_at, id);
CREATE INDEX escrow_jobs_created ON escrow_jobs (created_at, id);

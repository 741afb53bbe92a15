CREATE TABLE agent_jobs (
  id text PRIMARY KEY,
  owner_user text,
  prompt text NOT NULL,
  state text NOT NULL,
  eval_invoice text NOT NULL,
  work_invoice text,
  reason text,
  result text,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL
);
CREATE INDEX agent_jobs_owner ON agent_jobs (owner_user, created_at, id);
CREATE INDEX agent_jobs_state ON agent_jobs (state, created_at, id);
CREATE INDEX agent_jobs_created ON agent_jobs (created_at, id);

-- However much waits, what is held is found at once, and so is the first that nobody holds.
CREATE INDEX work_held ON work (kind) WHERE leased_until IS NOT NULL;
CREATE INDEX work_free ON work (kind, due_at) WHERE leased_until IS NULL;

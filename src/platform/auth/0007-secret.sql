-- The secret that nodes share when none is configured: the embedded database has it in a file beside it.
CREATE TABLE generated_secret (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  secret text NOT NULL
);

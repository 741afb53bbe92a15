import { describe, expect, it } from 'vitest';
import {
  createDatabase,
  type Driver,
  type LastStatement,
  type Queryable,
} from '../../../src/platform/database/database.ts';
import { useDatabase } from '../../support/database.ts';
import { onPostgres } from '../../support/postgres.ts';

/** A driver that writes down what it is told, and fails at the statements that it is given errors for. */
function recordingDriver(failures: Record<string, Error[]> = {}) {
  const statements: string[] = [];
  const run = (statement: string) => {
    statements.push(statement);
    const failure = failures[statement]?.shift();
    if (failure) throw failure;
  };
  const connection: Queryable = {
    query: async (sql) => {
      run(sql);
      return [];
    },
  };
  const driver: Driver = {
    exclusive: true,
    query: connection.query,
    async begin(work) {
      run('BEGIN');
      try {
        const { result, last } = await work(connection);
        const rows = [];
        for (const { sql, parameters } of last) {
          await connection.query(sql);
          rows.push(parameters);
        }
        run('COMMIT');
        return { result, rows };
      } catch (error) {
        statements.push('ROLLBACK');
        throw error;
      }
    },
    connections: () => ({ open: 1, idle: 0, waiting: 0 }),
    close: async () => run('CLOSE'),
  };
  return { db: createDatabase(driver), statements };
}

/** A maker of a last statement. */
const lastly =
  (sql: string, onMade = () => {}, committed = () => {}) =>
  (): LastStatement => {
    onMade();
    return { sql, parameters: [], committed };
  };

const failure = (code: string) => Object.assign(new Error(`SQLSTATE ${code}`), { code });

describe('a transaction', () => {
  it('answers what its work answers, after the commit', async () => {
    const { db, statements } = recordingDriver();
    const result = await db.transaction(async (tx) => {
      await tx.query('work');
      return 'done';
    });
    expect(result).toBe('done');
    expect(statements).toEqual(['BEGIN', 'work', 'COMMIT']);
  });

  it('sends the last statements with the commit, each made once, when all else is done', async () => {
    const { db, statements } = recordingDriver();
    const last = lastly('last', () => statements.push('made'));
    await db.transaction(async (tx) => {
      tx.lastly(last);
      await tx.query('work');
      tx.lastly(last);
      tx.lastly(lastly('very last'));
      await tx.query('more work');
    });
    expect(statements).toEqual(['BEGIN', 'work', 'more work', 'made', 'last', 'very last', 'COMMIT']);
  });

  it('tells each of them its rows, behind the steps after the commit', async () => {
    const { db, statements } = recordingDriver();
    await db.transaction(async (tx) => {
      for (const name of ['one', 'other'])
        tx.lastly(() => ({
          sql: name,
          parameters: [`row of ${name}`],
          committed: (rows) => void statements.push(...(rows as string[])),
        }));
      tx.afterCommit(() => statements.push('after'));
    });
    expect(statements).toEqual(['BEGIN', 'one', 'other', 'COMMIT', 'after', 'row of one', 'row of other']);
  });

  it('is rolled back when a last statement cannot be made', async () => {
    const { db, statements } = recordingDriver();
    const transaction = db.transaction(async (tx) => {
      tx.lastly(
        lastly('last', () => {
          throw new Error('cannot be made');
        }),
      );
      await tx.query('work');
    });
    await expect(transaction).rejects.toThrow('cannot be made');
    expect(statements).toEqual(['BEGIN', 'work', 'ROLLBACK']);
  });

  it('runs the steps after the commit in the order given, before it answers', async () => {
    const { db, statements } = recordingDriver();
    await db.transaction(async (tx) => {
      tx.afterCommit(() => statements.push('first'));
      tx.afterCommit(() => statements.push('second'));
    });
    expect(statements).toEqual(['BEGIN', 'COMMIT', 'first', 'second']);
  });

  it('may use the whole database in a step after the commit', async () => {
    const { db, statements } = recordingDriver();
    let used: Promise<unknown> | undefined;
    await db.transaction(async (tx) => {
      tx.afterCommit(() => {
        used = db.query('after');
      });
    });
    await used;
    expect(statements).toEqual(['BEGIN', 'COMMIT', 'after']);
  });

  it.each(['work', 'last', 'COMMIT'])('runs no step after the commit when %s fails', async (failing) => {
    const broken = new Error('broken');
    const { db, statements } = recordingDriver({ [failing]: [broken] });
    const transaction = db.transaction(async (tx) => {
      tx.afterCommit(() => statements.push('after'));
      tx.lastly(lastly('last', undefined, () => statements.push('committed')));
      await tx.query('work');
    });
    await expect(transaction).rejects.toBe(broken);
    expect(statements.slice(-2)).toEqual([failing, 'ROLLBACK']);
  });
});

describe('what the database aborts', () => {
  it.each(['40P01', '40001'])('as %s is run again, with new last statements', async (code) => {
    const { db, statements } = recordingDriver({ work: [failure(code)], COMMIT: [failure(code)] });
    const result = await db.transaction(async (tx) => {
      tx.lastly(lastly('last'));
      tx.afterCommit(() => statements.push('after'));
      await tx.query('work');
      return 'done';
    });
    expect(result).toBe('done');
    expect(statements).toEqual(
      [
        ['BEGIN', 'work', 'ROLLBACK'],
        ['BEGIN', 'work', 'last', 'COMMIT', 'ROLLBACK'],
        ['BEGIN', 'work', 'last', 'COMMIT', 'after'],
      ].flat(),
    );
  });

  it.each(['40P01', '40001'])('as %s again and again is run again three times at most', async (code) => {
    const failures = [1, 2, 3, 4, 5].map(() => failure(code));
    const { db, statements } = recordingDriver({ work: [...failures] });
    await expect(db.transaction((tx) => tx.query('work'))).rejects.toBe(failures[3]);
    expect(statements.filter((statement) => statement === 'BEGIN')).toHaveLength(4);
  });

  it('for any other reason is not run again', async () => {
    const { db, statements } = recordingDriver({ work: [failure('23505')] });
    await expect(db.transaction((tx) => tx.query('work'))).rejects.toThrow('23505');
    expect(statements).toEqual(['BEGIN', 'work', 'ROLLBACK']);
  });
});

describe('inside a transaction', () => {
  const refusal = 'The database was used outside of the open transaction.';

  it('the database itself is refused, however deep', async () => {
    const { db, statements } = recordingDriver();
    const deep = async () => {
      await Promise.resolve();
      return db.query('outside');
    };
    await expect(db.transaction(deep)).rejects.toThrow(refusal);
    expect(statements).not.toContain('outside');
    await db.query('afterwards');
    expect(statements).toContain('afterwards');
  });

  it('another transaction is refused', async () => {
    const { db, statements } = recordingDriver();
    await expect(db.transaction(() => db.transaction(async () => {}))).rejects.toThrow(refusal);
    expect(statements).toEqual(['BEGIN', 'ROLLBACK']);
  });

  it('what goes on beside it is not', async () => {
    const { db, statements } = recordingDriver();
    let finish = () => {};
    const open = db.transaction(() => new Promise<void>((resolve) => (finish = resolve)));
    await db.query('beside');
    finish();
    await open;
    expect(statements).toEqual(['BEGIN', 'beside', 'COMMIT']);
  });
});

it('closes its driver, and says what it says', async () => {
  const { db, statements } = recordingDriver();
  await db.close();
  expect(statements).toEqual(['CLOSE']);
  expect(db.exclusive).toBe(true);
});

describe('a real database', () => {
  const db = useDatabase();

  it('keeps nothing of a transaction that fails', async () => {
    await db().query('CREATE TABLE kept (value int PRIMARY KEY)');
    await db().transaction((tx) => tx.query('INSERT INTO kept VALUES (1)'));
    const failing = db().transaction(async (tx) => {
      await tx.query('INSERT INTO kept VALUES (2)');
      await tx.query('INSERT INTO kept VALUES (1)');
    });
    await expect(failing).rejects.toMatchObject({ code: '23505' });
    await expect(
      db().transaction(async (tx) => {
        await tx.query('INSERT INTO kept VALUES (3)');
        throw new Error('changed its mind');
      }),
    ).rejects.toThrow('changed its mind');
    expect(await db().query('SELECT value FROM kept')).toEqual([{ value: 1 }]);
  });

  it('gives rows as promised: int8 as bigint, timestamptz as Date, jsonb parsed', async () => {
    const [row] = await db().query(
      `SELECT 9007199254740993::int8 AS large, '2030-01-02T03:04:05.678Z'::timestamptz AS time,
              '{"a": [1, null]}'::jsonb AS document, $1::text AS given`,
      ['x'],
    );
    expect(row).toEqual({
      large: 9007199254740993n,
      time: new Date('2030-01-02T03:04:05.678Z'),
      document: { a: [1, null] },
      given: 'x',
    });
  });

  it('is of one process alone when it is the embedded one', () => {
    expect(db().exclusive).toBe(!onPostgres);
  });
});

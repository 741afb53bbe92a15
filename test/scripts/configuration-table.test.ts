import { expect, it } from 'vitest';
import { configurationTable } from '../../scripts/lib/configuration-table.ts';
import { configSchema } from '../../src/config.ts';

it('has a row with a meaning for every variable', () => {
  const [head, rule, ...rows] = configurationTable().trimEnd().split('\n');
  expect([head, rule]).toEqual(['| Variable | Default | Meaning |', '| --- | --- | --- |']);
  expect(rows.map((row) => row.split('`')[1])).toEqual(Object.keys(configSchema.in.shape));
  for (const row of rows) {
    expect(row).toMatch(/^\| `[A-Z_]+` \| (`[^`]+`)? ?\| \S.+\S \|$/);
  }
  expect(rows).toContain('| `PORT` | `4000` | TCP port to listen on; 0 takes any free one. |');
  expect(rows).toContain(
    '| `NODE_ENV` |  | `production` refuses the stub backends unless ALLOW_STUB says otherwise. |',
  );
});

import { z } from 'zod';
import { configSchema } from '../../src/config.ts';

/** The environment variables as a Markdown table, in the schema's order: variable, default, meaning. */
export function configurationTable(): string {
  const { properties = {} } = z.toJSONSchema(configSchema, { io: 'input' });
  const rows = Object.entries(properties).map(([variable, property]) => {
    const { default: value, description } = property as { default?: string; description: string };
    return `| \`${variable}\` | ${value === undefined ? '' : `\`${value}\``} | ${description} |`;
  });
  return ['| Variable | Default | Meaning |', '| --- | --- | --- |', ...rows, ''].join('\n');
}

import { execFile } from 'node:child_process';
import { accessSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { maxHeaderSize } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { findNginx } from '../../scripts/lib/nginx.ts';
import { ConfigError, configSchema, readConfig } from '../../src/config.ts';
import { createLogger } from '../../src/platform/telemetry/logger.ts';
import { createHttpServer } from '../../src/transport/http.ts';
import { serve } from '../support/serve.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const compose = parse(readFileSync('compose.yaml', 'utf8'), { merge: true });
const dockerfile = readFileSync('Dockerfile', 'utf8').replaceAll(/\\\n\s*/g, '');
const nginx = readFileSync(join('deploy', 'nginx.conf'), 'utf8').replaceAll(/^\s*#.*$/gm, '');
const nodes = ['satwire-1', 'satwire-2'];

const secrets: Environment = {
  POSTGRES_PASSWORD: 'p'.repeat(20),
  REDIS_PASSWORD: 'r'.repeat(20),
  SERVER_SECRET: 's'.repeat(32),
  JWT_SECRET: 'j'.repeat(32),
};
const lnbits: Environment = {
  LNBITS_URL: 'https://lnbits.example',
  LNBITS_INVOICE_KEY: 'invoice',
  PUBLIC_URL: 'https://api.example',
};

/** What a text of compose.yaml stands for; throws for a variable that has to be set and is not. */
function interpolate(text: string, env: Environment): string {
  return text.replaceAll(
    /\$\{(\w+)(?:(:?)([-?])([^}]*))?\}/g,
    (_, name: string, colon: string, operator: string, rest: string) => {
      const value = env[name];
      if (value !== undefined && !(colon && value === '')) return value;
      if (operator === '?') throw new Error(`${name}: ${rest}`);
      return operator === '-' ? rest : '';
    },
  );
}

/** The environment that a service has, where compose itself has this one. */
function environmentOf(service: string, env: Environment): Environment {
  const entries = Object.entries<string | null>(compose.services[service].environment);
  return Object.fromEntries(
    entries.map(([name, value]) => [name, value === null ? env[name] : interpolate(value, env)]),
  );
}

const seconds = (duration: string) => Number(/^(\d+)s$/.exec(duration)?.[1]);

/** The arguments of a directive of nginx.conf, wherever it stands, once for each time. */
const directive = (name: string) =>
  [...nginx.matchAll(new RegExp(`^\\s*${name} ([^;{]+);`, 'gm'))].map(([, value]) => value as string);

const bytes = (size: string | undefined) => Number(/^(\d+)k$/.exec(size ?? '')?.[1]) * 1_024;

describe('compose.yaml', () => {
  it('sets only variables that there are, on both nodes the same', () => {
    const names = Object.keys(compose.services['satwire-1'].environment);
    expect(names.filter((name) => !(name in configSchema.in.shape))).toEqual([]);
    expect(compose.services['satwire-2'].environment).toEqual(compose.services['satwire-1'].environment);
  });

  it('passes on every variable but those that are settled in the image, or in nginx.conf', () => {
    const names = Object.keys(compose.services['satwire-1'].environment);
    expect(Object.keys(configSchema.in.shape).filter((name) => !names.includes(name))).toEqual([
      'DATA_DIR',
      'WEBSOCKET_PATH',
      'WEBSOCKET_PORT',
      'LIMIT_BODY_BYTES',
    ]);
  });

  it.each(nodes)('configures %s so that it starts', (node) => {
    const config = readConfig(environmentOf(node, { ...secrets, ...lnbits }));
    expect(config).toMatchObject({ host: '0.0.0.0', trustProxy: 1, stubMode: false });
    expect(new URL(config.databaseUrl as string)).toMatchObject({
      hostname: 'postgres',
      username: compose.services.postgres.environment.POSTGRES_USER,
      password: environmentOf('postgres', secrets).POSTGRES_PASSWORD,
      pathname: `/${compose.services.postgres.environment.POSTGRES_DB}`,
    });
    expect(new URL(config.redisUrl as string)).toMatchObject({
      hostname: 'redis',
      password: interpolate(compose.services.redis.command.at(-1), secrets),
    });
    const keys = { ...secrets, ...lnbits, JWT_SECRET: '', JWKS_URL: 'https://keys.example' };
    expect(readConfig(environmentOf(node, keys)).jwksUrl?.href).toBe('https://keys.example/');
  });

  it('runs no stub unless it is told to', () => {
    expect(() => readConfig(environmentOf('satwire-1', secrets))).toThrow(ConfigError);
    expect(readConfig(environmentOf('satwire-1', { ...secrets, ALLOW_STUB: 'true' })).stubMode).toBe(true);
  });

  it.each(Object.keys(secrets))('has no default for %s', (name) => {
    const all = () =>
      Object.keys(compose.services).filter((service) => compose.services[service].environment);
    const { [name]: _, ...others } = secrets;
    expect(() => all().map((service) => environmentOf(service, others))).toThrow(name);
    expect(() => all().map((service) => environmentOf(service, secrets))).not.toThrow();
  });

  it('lets a node drain before it is killed, and nginx finish', () => {
    for (const node of nodes) {
      const { drainSeconds } = readConfig(environmentOf(node, { ...secrets, ...lnbits }));
      expect(seconds(compose.services[node].stop_grace_period)).toBeGreaterThanOrEqual(drainSeconds + 10);
    }
    const [shutdown] = directive('worker_shutdown_timeout');
    expect(seconds(compose.services.nginx.stop_grace_period)).toBeGreaterThan(seconds(shutdown as string));
  });

  it('publishes one port, that of nginx', () => {
    const published = Object.entries<{ ports?: string[] }>(compose.services).flatMap(
      ([name, { ports = [] }]) => ports.map((port) => [name, interpolate(port, {})]),
    );
    expect(published).toEqual([['nginx', `0.0.0.0:8080:${directive('listen')[0]}`]]);
  });

  it('names services, networks and volumes that there are', () => {
    for (const service of Object.values<any>(compose.services)) {
      const { depends_on = {}, networks, volumes = [] } = service;
      for (const [name, { condition }] of Object.entries<any>(depends_on)) {
        expect(compose.services).toHaveProperty(name);
        // The nodes bring theirs in the image.
        if (condition === 'service_healthy') expect(compose.services[name]).toHaveProperty('healthcheck');
      }
      for (const name of Array.isArray(networks) ? networks : Object.keys(networks))
        expect(compose.networks).toHaveProperty(name);
      for (const volume of volumes) {
        const [source] = volume.split(':');
        if (source.startsWith('./')) expect(() => accessSync(source)).not.toThrow();
        else expect(compose.volumes).toHaveProperty(source);
      }
    }
  });

  it('keeps nothing in Redis, and nginx away from both databases', () => {
    const { command } = compose.services.redis;
    const option = (name: string) => command[command.indexOf(name) + 1];
    expect([option('--save'), option('--appendonly'), option('--maxmemory-policy')]).toEqual([
      '',
      'no',
      'noeviction',
    ]);
    const { nginx: proxy, postgres, redis } = compose.services;
    expect([proxy.networks, postgres.networks, redis.networks]).toEqual([['front'], ['back'], ['back']]);
  });
});

describe('deploy/nginx.conf', () => {
  it('is in front of the nodes of compose.yaml, at the addresses that they have there', () => {
    const servers = directive('server').map((server) => server.split(' ')[0]);
    expect(servers).toEqual(
      nodes.map((node) => `${node}:${readConfig(environmentOf(node, { ...secrets, ...lnbits })).port}`),
    );
    expect(compose.services.nginx.extra_hosts).toEqual(
      nodes.map((node) => `${node}:${compose.services[node].networks.front.ipv4_address}`),
    );
    const [{ subnet }] = compose.networks.front.ipam.config;
    for (const node of nodes)
      expect(compose.services[node].networks.front.ipv4_address).toMatch(subnet.replace(/0\/24$/, ''));
  });

  it('agrees with the limits of a node', () => {
    const { limitBodyBytes } = readConfig(environmentOf('satwire-1', { ...secrets, ...lnbits }));
    expect(directive('client_max_body_size').map(bytes)).toEqual([limitBodyBytes, 65_536]);
    expect(bytes(directive('client_body_buffer_size')[0])).toBe(limitBodyBytes);
    const [count, size] = (directive('large_client_header_buffers')[0] as string).split(' ');
    const headers = bytes(directive('client_header_buffer_size')[0]) + Number(count) * bytes(size);
    // What nginx adds comes on top.
    expect(headers).toBeLessThanOrEqual(maxHeaderSize - 1_024);
    const { keepAliveTimeout } = createHttpServer({}, createLogger('silent'), () => true);
    expect(seconds(directive('keepalive_timeout')[0] as string) * 1_000).toBeLessThan(keepAliveTimeout);
  });
});

describe('the Dockerfile', () => {
  const copied = [...dockerfile.matchAll(/^COPY ((?:--\S+ )*)(.+) \S+$/gm)].map(
    ([, flags = '', sources = '']) => ({
      isOfContext: !flags.includes('--from'),
      sources: sources.split(' '),
    }),
  );
  const sources = copied.filter(({ isOfContext }) => isOfContext).flatMap((copy) => copy.sources);

  it('copies what there is, and all that the build context has', () => {
    for (const source of sources) expect(() => accessSync(source)).not.toThrow();
    const [everything, ...kept] = readFileSync('.dockerignore', 'utf8')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    expect(everything).toBe('*');
    expect(kept.sort()).toEqual(sources.map((source) => `!${source.replace('./', '')}`).sort());
  });

  it('runs what the build makes, as nobody in particular, on a Node that is new enough', () => {
    const { scripts, engines } = JSON.parse(readFileSync('package.json', 'utf8'));
    const [, command = '[]'] = /^CMD (.*)$/m.exec(dockerfile) ?? [];
    expect(JSON.parse(command)).toEqual(scripts.start.split(' && ').at(-1).split(' '));
    expect(dockerfile).toMatch(/^USER node$/m);
    expect(dockerfile).toMatch(/^STOPSIGNAL SIGTERM$/m);
    const major = /^>=(\d+)\./.exec(engines.node)?.[1];
    const images = [...dockerfile.matchAll(/^FROM node:(\S+)/gm)].map(([, tag]) => tag);
    expect(images).toEqual([`${major}-slim`, `${major}-slim`]);
  });

  it.each([
    [200, 0],
    [503, 1],
    [undefined, 1],
  ])('has a health check that takes a /ready of %s as %s', async (status, code) => {
    const url = await serve({
      'GET /ready': (_request, response) => (status ? response.writeHead(status).end() : response.destroy()),
    });
    const [, command = '[]'] = /^HEALTHCHECK .*?CMD (\[.*\])$/m.exec(dockerfile) ?? [];
    const [program, ...args] = JSON.parse(command);
    expect(program).toBe('node');
    const ended = promisify(execFile)(process.execPath, args, { env: { PORT: new URL(url).port } });
    expect(
      await ended.then(
        () => 0,
        (error) => error.code,
      ),
    ).toBe(code);
  });
});

it('finds nginx by its variable, or else on PATH', () => {
  const folder = mkdtempSync(join(tmpdir(), 'satwire-deployment-'));
  try {
    const path = join(folder, 'nginx');
    writeFileSync(path, '', { mode: 0o755 });
    expect(findNginx({ PATH: folder })).toBe(path);
    expect(findNginx({ PATH: '', NGINX_PATH: path })).toBe(path);
    expect(findNginx({ NGINX_PATH: join(folder, 'missing') })).toBeUndefined();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

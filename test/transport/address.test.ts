import type { IncomingMessage } from 'node:http';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clientAddress, countedAddress } from '../../src/transport/address.ts';

const requestFrom = (remoteAddress: string | undefined, forwardedFor?: string | string[]) =>
  ({
    socket: { remoteAddress },
    headers: forwardedFor === undefined ? {} : { 'x-forwarded-for': forwardedFor },
  }) as unknown as IncomingMessage;

describe('an address as it is counted', () => {
  it.each([
    ['203.0.113.7', '203.0.113.7'],
    ['0.0.0.0', '0.0.0.0'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['::FFFF:203.0.113.7', '203.0.113.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002:0003:0004:0005:0006', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::6', '2001:db8:1:2::/64'],
    ['2001:db8:1::6', '2001:db8:1:0::/64'],
    ['2001:db8::6', '2001:db8:0:0::/64'],
    ['2001:db8::3:4:5:6', '2001:db8:0:0::/64'],
    ['2001:db8::2:3:4:5:6', '2001:db8:0:2::/64'],
    ['2001:0:0:2:3:4:5:6', '2001:0:0:2::/64'],
    ['2001:0:1:0:0:4:5:6', '2001:0:1:0::/64'],
    ['2001:db8:1:2:3:4:203.0.113.7', '2001:db8:1:2::/64'],
    ['::1', '::1'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['::ffff:cb00:7107', '203.0.113.7'],
    ['0:0:0:0:0:ffff:203.0.113.7', '203.0.113.7'],
    ['203.0.113.7:4000', '203.0.113.7'],
    ['[2001:db8:1:2::1]', '2001:db8:1:2::/64'],
    ['[2001:db8:1:2::1]:4000', '2001:db8:1:2::/64'],
    ['::', '0:0:0:0::/64'],
    ['::2:3:4:5:6:7:8', '0:2:3:4::/64'],
    ['fe80::1', 'fe80:0:0:0::/64'],
  ])('%s is %s', (address, counted) => {
    expect(countedAddress(address)).toBe(counted);
  });

  it.each([
    '',
    ' ',
    'unknown',
    '_hidden',
    'localhost',
    '203.0.113',
    '203.0.113.256',
    '0x7f000001',
    '2130706433',
    '2001:db8::1::2',
    '2001:db8:1:2:3:4:5:6:7',
    'fe80::1%eth0',
    'fe80::1%25eth0',
    '::ffff:203.0.113.7%eth0',
    '"203.0.113.7"',
    '203.0.113.7\n',
  ])('%s is none', (text) => {
    expect(countedAddress(text)).toBeUndefined();
  });

  const hexGroups = (length: number) =>
    fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: length, maxLength: length });
  const written = (groups: readonly number[]) => groups.map((group) => group.toString(16)).join(':');

  it('is the same for all of a subscriber, however it is written, and for nobody else', () => {
    const forms = (address: string) => {
      const short = new URL(`http://[${address}]`).hostname.slice(1, -1);
      const long = address
        .split(':')
        .map((group) => group.padStart(4, '0'))
        .join(':');
      return [address, short, long, long.toUpperCase()];
    };
    fc.assert(
      fc.property(hexGroups(4), hexGroups(4), hexGroups(4), hexGroups(4), (net, otherNet, one, other) => {
        // Of what is mapped from IPv4, each address is a subscriber's own.
        fc.pre(net.some((group) => group !== 0));
        const expected = `${written(net)}::/64`;
        for (const host of [one, other])
          for (const form of forms(written([...net, ...host]))) expect(countedAddress(form)).toBe(expected);
        if (written(net) !== written(otherNet))
          expect(countedAddress(written([...otherNet, ...one]))).not.toBe(expected);
      }),
    );
  });
});

describe('the address of a request', () => {
  it.each([
    ['no proxy', 0, undefined, '198.51.100.1'],
    ['no proxy, and a header that anybody wrote', 0, '203.0.113.7', '198.51.100.1'],
    ['one proxy that has added nothing', 1, undefined, '198.51.100.1'],
    ['one proxy', 1, '203.0.113.7', '203.0.113.7'],
    ['one proxy, after what anybody wrote', 1, '203.0.113.99, 203.0.113.7', '203.0.113.7'],
    ['two proxies', 2, '203.0.113.99, 203.0.113.7, 192.0.2.1', '203.0.113.7'],
    ['two proxies, without spaces', 2, '203.0.113.99,203.0.113.7,192.0.2.1', '203.0.113.7'],
    ['as many proxies as there are entries', 2, '203.0.113.7, 192.0.2.1', '203.0.113.7'],
    ['more proxies than entries', 5, '203.0.113.7, 192.0.2.1', '203.0.113.7'],
    ['a proxy that knows no address', 1, '203.0.113.7, unknown', undefined],
    ['a proxy that adds an IPv6 address', 1, '203.0.113.99, 2001:db8::1', '2001:db8:0:0::/64'],
  ])('is that behind %s', (_what, proxies, forwardedFor, expected) => {
    expect(clientAddress(requestFrom('198.51.100.1', forwardedFor), proxies)).toBe(expected);
  });

  it('is read from several headers as from one', () => {
    // Node joins them so; other parsers leave a list.
    const request = requestFrom('198.51.100.1', ['203.0.113.99', '203.0.113.7, 192.0.2.1']);
    expect(clientAddress(request, 2)).toBe('203.0.113.7');
  });

  it('is none once the socket is gone', () => {
    expect(clientAddress(requestFrom(undefined), 0)).toBeUndefined();
  });

  const anyHeader = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc.array(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string()), { maxLength: 12 }).map((parts) => parts.join(',')),
  );

  it('is never what a header says, where no proxy is trusted', () => {
    fc.assert(
      fc.property(anyHeader, (forwardedFor) => {
        expect(clientAddress(requestFrom('198.51.100.1', forwardedFor), 0)).toBe('198.51.100.1');
        expect(clientAddress(requestFrom('2001:db8::1', forwardedFor), 0)).toBe('2001:db8:0:0::/64');
      }),
    );
  });

  it('is what the proxies have added, whatever was written before that', () => {
    fc.assert(
      fc.property(
        anyHeader,
        fc.ipV4(),
        fc.array(fc.oneof(fc.ipV4(), fc.ipV6()), { maxLength: 9 }),
        (forged, address, hops) => {
          const forwardedFor = [forged, address, ...hops].join(', ');
          expect(clientAddress(requestFrom('198.51.100.1', forwardedFor), hops.length + 1)).toBe(address);
        },
      ),
    );
  });

  it('is an address or none, whatever is written and however many proxies are trusted', () => {
    fc.assert(
      fc.property(anyHeader, fc.integer({ min: 0, max: 10 }), (forwardedFor, proxies) => {
        const address = clientAddress(requestFrom('198.51.100.1', forwardedFor), proxies);
        if (address !== undefined)
          expect(address).toMatch(/^(\d+\.\d+\.\d+\.\d+|::1|([0-9a-f]{1,4}:){4}:\/64)$/);
      }),
    );
  });
});

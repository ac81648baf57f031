import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { isPlainText } from '../../src/http/body.ts';
import type { Received } from '../../src/outbox/port.ts';
import { assertProblem, head, openRaw, post, withEdge } from './edge.ts';

const text = JSON.stringify({ text: 'Zürich 東京 '.repeat(2_000) });

describe('Content-Encoding', () => {
  const encodings: [string, Uint8Array][] = [
    ['', Buffer.from(text)],
    ['identity', Buffer.from(text)],
    ['gzip', gzipSync(text)],
    ['GZip', gzipSync(text)],
    ['x-gzip', gzipSync(text)],
    ['deflate', deflateSync(text)],
    ['deflate', deflateRawSync(text)],
    ['deflate', deflateRawSync(text, { level: 0 })],
    ['gzip', Buffer.concat([gzipSync(text.slice(0, 100)), gzipSync(text.slice(100))])],
  ];
  for (const [index, [encoding, body]] of encodings.entries()) {
    test(`${index}: "${encoding}" arrives as it was`, async () => {
      await withEdge({}, async ({ port, received }) => {
        const reply = await post(port, body, { 'content-encoding': encoding });
        assert.equal(reply.status, 200, reply.text);
        assert.equal(Buffer.from(received[0]?.bytes ?? []).toString(), text);
      });
    });
  }

  test('any bytes in any encoding and any pieces arrive as they were', async () => {
    const encode = { identity: (b: Uint8Array) => b, gzip: gzipSync, deflate: deflateSync };
    await withEdge({}, async ({ port, received }) => {
      await fc.assert(
        fc.asyncProperty(
          fc.uint8Array({ maxLength: 3_000 }),
          fc.constantFrom(...(Object.keys(encode) as (keyof typeof encode)[])),
          fc.integer({ min: 1, max: 700 }),
          async (bytes, encoding, pieceLength) => {
            const body = encode[encoding](bytes);
            const raw = openRaw(port);
            raw.socket.write(head(['Transfer-Encoding: chunked', `Content-Encoding: ${encoding}`]));
            for (let from = 0; from < body.length; from += pieceLength) {
              const piece = body.subarray(from, from + pieceLength);
              raw.socket.write(`${piece.length.toString(16)}\r\n`);
              raw.socket.write(piece);
              raw.socket.write('\r\n');
            }
            raw.socket.write('0\r\n\r\n');
            assert.match(await raw.until(/"rows".*\}\}/s), /^HTTP\/1\.1 200 /);
            raw.socket.destroy();
            assert.deepEqual(Buffer.from(received.at(-1)?.bytes ?? []), Buffer.from(bytes));
          },
        ),
        { numRuns: 60 },
      );
    });
  });

  for (const encoding of ['br', 'zstd', 'compress', 'gzip, gzip', 'gzip, br', 'gzip, identity', 'utf-8', '__proto__']) {
    test(`"${encoding}" is 415 and names what is taken`, async () => {
      await withEdge({}, async ({ port, received }) => {
        const reply = await post(port, brotliCompressSync(text), { 'content-encoding': encoding });
        assertProblem(reply, 415, 'encoding_unsupported');
        assert.equal(reply.headers['accept-encoding'], 'gzip, deflate, identity');
        assert.equal(reply.json['quarantined'], undefined);
        assert.equal(received.length, 0);
      });
    });
  }

  test('a transfer coding but chunked is 415', async () => {
    await withEdge({}, async ({ port }) => {
      const raw = openRaw(port);
      raw.socket.write(`${head(['Transfer-Encoding: gzip, chunked'])}0\r\n\r\n`);
      assert.match(await raw.until(/\r\n\r\n.*\}/s), /^HTTP\/1\.1 415 /);
      raw.socket.destroy();
    });
  });
});

describe('a broken compression is 400 and not kept', () => {
  const compressed = gzipSync(text);
  const flipped = Buffer.from(compressed);
  flipped.writeUInt8(flipped.readUInt8(40) ^ 0xff, 40);
  const broken: [string, string, Uint8Array][] = [
    ['no gzip at all', 'gzip', randomBytes(1_000).fill(0, 0, 1)],
    ['gzip cut short', 'gzip', compressed.subarray(0, -5)],
    ['gzip of which one byte is left', 'gzip', compressed.subarray(0, 1)],
    ['gzip with a flipped bit', 'gzip', flipped],
    ['gzip with bytes behind it', 'gzip', Buffer.concat([compressed, Buffer.from('more')])],
    ['gzip with zeros behind it', 'gzip', Buffer.concat([compressed, Buffer.alloc(8)])],
    ['zlib with bytes behind it', 'deflate', Buffer.concat([deflateSync(text), Buffer.from('more')])],
    ['zlib with a megabyte behind it', 'deflate', Buffer.concat([deflateSync(text), randomBytes(1_000_000)])],
    ['raw deflate with bytes behind it', 'deflate', Buffer.concat([deflateRawSync(text), Buffer.from('more')])],
    ['no deflate at all', 'deflate', randomBytes(1_000).fill(0xff, 0, 1)],
    ['text that is no JSON', 'gzip', Buffer.from('a line of text')],
  ];
  for (const [name, encoding, body] of broken) {
    test(name, async () => {
      await withEdge({}, async ({ port, received }) => {
        const reply = await post(port, body, { 'content-encoding': encoding });
        assertProblem(reply, 400, 'body_not_decompressible');
        assert.equal(reply.json['quarantined'], undefined);
        assert.equal(received.length, 0);
        assert.equal((await post(port, '{}')).status, 200);
      });
    });
  }

  test('behind one that was not read to its end the connection goes on', async () => {
    await withEdge({}, async ({ port }) => {
      const body = Buffer.concat([deflateSync(text), randomBytes(1_000_000)]);
      const raw = openRaw(port);
      for (let count = 0; count < 3; count += 1) {
        raw.socket.write(head([`Content-Length: ${body.length}`, 'Content-Encoding: deflate']));
        raw.socket.write(body);
      }
      raw.socket.write(`${head(['Content-Length: 2'])}{}`);
      assert.match(await raw.until(/"rows":2/), /^(HTTP\/1\.1 400 [\s\S]*){3}HTTP\/1\.1 200 /);
      raw.socket.destroy();
    });
  });
});

describe('a plain body whose Content-Encoding is wrong is kept in quarantine and refused', () => {
  const plain: [string, string | Uint8Array][] = [
    ['JSON', text],
    ['JSON after blanks', `\r\n\t ${text}\n`],
    ['JSON after a byte order mark', `\uFEFF${text}`],
    ['a list', '[{"a":1}]'],
    ['JSON that ends early', text.slice(0, -2)],
    ['Latin-1', Buffer.from('{"name":"José"}', 'latin1')],
    ['UTF-16', Buffer.from('\uFEFF{"name":"José"}', 'utf16le')],
  ];
  const kept: Received = { outcome: 'quarantined', code: 'not used', detail: 'not used', errors: [] };
  for (const [name, body] of plain) {
    test(name, async () => {
      await withEdge({ receive: async () => kept }, async ({ port, received, records }) => {
        for (const [encoding, status, code] of [
          ['br', 415, 'encoding_unsupported'],
          ['utf-8', 415, 'encoding_unsupported'],
          ['gzip, gzip', 415, 'encoding_unsupported'],
          ['gzip', 400, 'body_not_decompressible'],
          ['deflate', 400, 'body_not_decompressible'],
        ] as const) {
          const reply = await post(port, body, { 'content-encoding': encoding });
          assertProblem(reply, status, code);
          assert.equal(reply.json['quarantined'], true, encoding);
          const { bytes = new Uint8Array(), refusal } = received.pop() ?? {};
          assert.deepEqual(Buffer.from(bytes), Buffer.from(body));
          assert.equal(refusal?.code, code);
          assert.equal(records.at(-1)?.quarantined, true);
        }
      });
    });
  }

  test('when it cannot be kept the answer is 503, so that it is sent again', async () => {
    await withEdge({ receive: async () => ({ outcome: 'full' }) }, async ({ port }) => {
      const reply = await post(port, text, { 'content-encoding': 'br' });
      assertProblem(reply, 503, 'outbox_full');
      assert.match(String(reply.headers['retry-after']), /^\d+$/);
    });
  });

  test('compressed bodies never pass for plain text', async () => {
    fc.assert(
      fc.property(fc.json(), (json) => {
        for (const compress of [gzipSync, deflateSync, deflateRawSync]) assert.ok(!isPlainText(compress(json)));
      }),
    );
  });
});
